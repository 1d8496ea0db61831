"""Fields of an object under review: each knows its path, by which a refusal names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn


class RefusedError(Exception):
    """The object cannot mean anything; the text names the field and what is wrong with it."""


class ShapeError(RefusedError):
    """A field is of another type than ours: of a kind that others define, it may be one that we do not
    know yet.
    """


class Field:
    """A value and where it stands. Of what is not there every field is missing, too.

    Whatever is of another type than is asked for is refused.
    """

    def __init__(self, value: Any, path: str = "") -> None:
        self.value = value
        self.path = path

    def __getitem__(self, name: str) -> Field:
        value = self.mapping().get(name) if self.is_said else None
        return Field(value, f"{self.path}.{name}" if self.path else name)

    def __iter__(self) -> Iterator[Field]:
        """The fields of a list."""
        if not self.is_said:
            return
        if not isinstance(self.value, list):
            raise ShapeError(f"{self.path}: must be a list")
        for number, value in enumerate(self.value):
            yield Field(value, f"{self.path}[{number}]")

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def is_said(self) -> bool:
        """Whether it is there."""
        return self.value is not None

    def mapping(self) -> dict[str, Any]:
        """An object."""
        if not isinstance(self.value, dict):
            raise ShapeError(f"{self.path}: must be an object")
        return self.value

    def text(self) -> str:
        """Empty where it is not there."""
        if not self.is_said:
            return ""
        if isinstance(self.value, str):
            return self.value
        raise ShapeError(f"{self.path}: must be a text")

    def number(self, least: int, most: int) -> int | None:
        """A whole number in a range; None where it is not there."""
        if not self.is_said:
            return None
        is_number = isinstance(self.value, int) and not isinstance(self.value, bool)
        if not is_number or not least <= self.value <= most:
            self.refuse(f"must be a whole number from {least} to {most}")
        return int(self.value)

    def is_true(self) -> bool:
        """Whether it says so."""
        if self.is_said and not isinstance(self.value, bool):
            raise ShapeError(f"{self.path}: must be true or false")
        return self.value is True

    def check(self, problem: Callable[[str], str]) -> None:
        """Refuse a text that is there and has a problem."""
        if self.is_said and (found := problem(self.text())):
            self.refuse(found)

    def refuse(self, reason: str) -> NoReturn:
        """Name the field."""
        raise RefusedError(f"{self.path}: {reason}" if self.path else reason)


class Asked(NamedTuple):
    """An object under review, as its rules see it."""

    spec: Field
    namespace: str
    annotations: Mapping[str, str]


def kind_of(ref: Field) -> tuple[str, str]:
    """Group and kind of a reference, which nobody spells alike; Kubernetes' own group is `core`."""
    return ref["group"].text().lower() or "core", ref["kind"].text().lower()


def spelled(ref: Field) -> str:
    """A reference's kind for people."""
    group, kind = ref["group"].text(), ref["kind"].text()
    return f"{kind}.{group}" if group else kind
