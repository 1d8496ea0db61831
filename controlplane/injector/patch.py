"""JSON patches (RFC 6902) that only add: what an API server is told, and what becomes of an object by it."""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]
Operation = dict[str, Any]
LAST: Final = "-"


class Patch:
    """Changes of an object, of which the first holds for the second. The object itself stays as it was."""

    def __init__(self, found: Json, *, below: tuple[str, ...] = ()) -> None:
        self.result = found
        self.operations: list[Operation] = []
        self._below = below

    def add(self, *path: str, value: Any) -> None:
        """A field, or an item at a place of a list (`LAST`: behind the others)."""
        whole = (*self._below, *path)
        pointer = "".join(f"/{_escaped(step)}" for step in whole)
        self.result = _added(self.result, whole, value)
        self.operations.append({"op": "add", "path": pointer, "value": value})

    def add_all(self, *path: str, values: dict[str, str]) -> None:
        """Fields of a mapping, which is made where there is none."""
        if values:
            self.need(*path, empty={})
        for name in sorted(values):
            self.add(*path, name, value=values[name])

    def need(self, *path: str, empty: Any) -> None:
        """A mapping or list at `path`."""
        found: Any = self.result
        for step in (*self._below, *path):
            found = found.get(step) if isinstance(found, dict) else None
        if not found:
            self.add(*path, value=empty)


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _added(found: Any, path: tuple[str, ...], value: Any) -> Any:
    """A copy with `value` in it, of which only what stands on the way is new."""
    step, *rest = path
    if isinstance(found, list):
        place = len(found) if step == LAST else int(step)
        return [*found[:place], value, *found[place:]]
    held = found if isinstance(found, dict) else {}
    return {**held, step: _added(held.get(step), tuple(rest), value) if rest else value}
