"""Names of the objects that a mesh.yaml makes beside those that it names itself: each is given once."""

from __future__ import annotations

import re
from typing import Final

from linkerd2_py.controlplane.sources.local.yaml_nodes import NodeReader, Spot

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
LABEL_RULE: Final = (
    "must be a DNS label (a-z, 0-9 and -, at most 63, not starting or ending with -)"
)


def is_label(text: str) -> bool:
    """Whether something of a mesh may be called so."""
    return _LABEL.match(text) is not None


class NameRules:
    """The names of the objects of one file: a second of a name would stand in the place of the first."""

    def __init__(self, reader: NodeReader) -> None:
        self._reader = reader
        self._given: set[str] = set()
        self._made: set[tuple[str, str]] = set()

    def given_route(self, fields: dict[str, Spot], *, default: str, spot: Spot) -> str:
        """What a route says it is called; else `default`."""
        if "name" not in fields:
            return self.of_route(default, spot=spot)
        text = self._reader.text(fields["name"])
        if text is None:
            return default
        if not is_label(text):
            self._reader.refuse(fields["name"], reason=f"{LABEL_RULE}, not {text[:80]!r}")
            return default
        return self.of_route(text, spot=fields["name"])

    def of_route(self, name: str, *, spot: Spot) -> str:
        """The name, which no other route may have."""
        if name in self._given:
            self._reader.refuse(spot, reason=f"another route is called {name!r}")
        self._given.add(name)
        return name

    def free(self, kind: str, name: str) -> str:
        """The name, or one like it, that nothing else of a kind has."""
        found, number = name, 1
        while (kind, found) in self._made:
            number += 1
            found = f"{name}-{number}"
        self._made.add((kind, found))
        return found
