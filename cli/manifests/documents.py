"""YAML and JSON with many documents, as plain values; each with its own text, for what is not changed stays
as it came.

Nothing is trusted: aliases are counted as if they were written out, and depth and length are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import yaml

from linkerd2_py.cli.manifests.scalars import Scalar, meaning_of

MOST_DEEP: Final = 100
MOST_NODES: Final = 2_000_000
"""Ten times the largest manifest that is known."""
_SEPARATOR: Final = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = "<<"


class ManifestError(Exception):
    """A manifest cannot be read; in one line, where and why."""


@dataclass(frozen=True, slots=True)
class Document:
    """One of a manifest. `value` is None where the text has nothing but remarks."""

    text: str
    value: Any


def read_documents(text: str) -> Iterator[Document]:
    """All of them, in order; one without a word is none. ManifestError names the line."""
    room = [MOST_NODES]
    for part, line in _parts(text):
        if part.strip():
            yield Document(part, _Reading(line=line, room=room).read(part))


def _parts(text: str) -> Iterator[tuple[str, int]]:
    """The texts between separators, and how many lines stand before each."""
    line = start = 0
    for found in _SEPARATOR.finditer(text):
        yield text[start : found.start()], line
        line += text.count("\n", start, found.start())
        # What follows the dashes on their line belongs to the new document, and so does its column.
        start = found.end()
        rest = text.find("\n", start)
        remark = text[start : rest if rest >= 0 else len(text)].strip()
        if not remark or remark.startswith("#"):
            start = rest + 1 if rest >= 0 else len(text)
            line += 1
    yield text[start:], line


def _is_merge(event: Any) -> bool:
    """Of a key. In quotes it is a name as any other."""
    return isinstance(event, yaml.ScalarEvent) and event.value == _MERGE and event.implicit[0]


class _Node:
    """A mapping or a list that is being read."""

    def __init__(self, *, is_list: bool, anchor: str | None) -> None:
        self.value: Any = [] if is_list else {}
        self.anchor = anchor
        self.key: str | None = None
        # What the key says.
        self.merges = False
        self.merged: list[dict[str, Any]] = []
        self.size = 1

    @property
    def wants_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None


class _Reading:
    """One document. No function calls itself: how deep a document is, is for us to say."""

    def __init__(self, *, line: int, room: list[int]) -> None:
        self._line = line
        self._room = room
        self._open: list[_Node] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._result: Any = None

    def read(self, text: str) -> Any:
        """What it says."""
        try:
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            self._fail(error.problem or "is no YAML", error.problem_mark or error.context_mark)
        except yaml.YAMLError as error:
            raise ManifestError(" ".join(str(error).split())) from error
        return self._result

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._put(self._scalar(event), event=event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end(event)

    def _begin(self, event: Any) -> None:
        if self._open and self._open[-1].wants_key:
            self._fail("a key must be a word", event.start_mark)
        if len(self._open) >= MOST_DEEP:
            self._fail(f"nested more than {MOST_DEEP} deep", event.start_mark)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        self._open.append(_Node(is_list=is_list, anchor=event.anchor))

    def _end(self, event: Any) -> None:
        node = self._open.pop()
        # What is merged gives way to what is written, and the earlier of two to neither.
        for other in node.merged:
            for name, value in other.items():
                node.value.setdefault(name, value)
        if node.anchor:
            self._anchors[node.anchor] = (node.value, node.size)
        self._put(node.value, event=event, size=node.size)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            self._fail(f"nothing is called {event.anchor!r} before this", event.start_mark)
        value, size = self._anchors[event.anchor]
        self._put(value, event=event, size=size)

    def _put(self, value: Any, *, event: Any, size: int = 1) -> None:
        if not self._open:
            self._result = value
            return
        self._count(size, event)
        node = self._open[-1]
        node.size += size
        if isinstance(node.value, list):
            node.value.append(value)
        elif node.key is None:
            node.key = self._key(value, event)
            node.merges = _is_merge(event)
        elif node.merges:
            node.merged += self._mappings(value, event)
            node.key = None
        else:
            node.value[node.key] = value
            node.key = None

    def _count(self, size: int, event: Any) -> None:
        self._room[0] -= size
        if self._room[0] < 0:
            self._fail(f"more than {MOST_NODES} values, aliases written out", event.start_mark)

    def _key(self, value: Any, event: Any) -> str:
        if isinstance(value, dict | list):
            self._fail("a key must be a word", event.start_mark)
        name = event.value if isinstance(event, yaml.ScalarEvent) else str(value)
        if name in self._open[-1].value:
            self._fail(f"{name[:60]!r} is said twice", event.start_mark)
        return name

    def _mappings(self, value: Any, event: Any) -> list[dict[str, Any]]:
        found = value if isinstance(value, list) else [value]
        if not all(isinstance(one, dict) for one in found):
            self._fail("<< merges mappings only", event.start_mark)
        return found

    def _scalar(self, event: Any) -> Scalar:
        value = self._value(event)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        return value

    def _value(self, event: Any) -> Scalar:
        text: str = event.value
        if event.tag is None or event.tag == "!":
            return meaning_of(text) if event.implicit[0] and event.tag is None else text
        kind = event.tag.removeprefix(_TAG)
        if kind == "str":
            return text
        if kind not in ("int", "float", "bool", "null"):
            self._fail(f"the tag {event.tag[:60]!r} means nothing here", event.start_mark)
        return meaning_of(text)

    def _fail(self, reason: str, mark: Any) -> NoReturn:
        line = self._line + (mark.line if mark else 0) + 1
        raise ManifestError(f"line {line}: {reason}")
