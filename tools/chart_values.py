"""What a chart's values.yaml says of its values: their paths, defaults and the comments before them.

A comment that begins with `-- ` describes the value after it; `@default -- ` says what an empty one means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

_KEY: Final = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z][\w.-]*):(?P<rest>.*)")
_COMMENT: Final = re.compile(r" *# ?(?P<words>.*)")


@dataclass(frozen=True)
class Value:
    """One that is described."""

    path: str
    default: Any
    words: str
    said_default: str = ""
    """In the place of the default's text."""


def described(text: str) -> Iterator[Value]:
    """In the file's order."""
    values = yaml.safe_load(text)
    parents: list[tuple[int, str]] = []
    words: list[str] = []
    for line in text.splitlines():
        if found := _COMMENT.fullmatch(line):
            words.append(found["words"])
            continue
        key = _KEY.fullmatch(line)
        if key is None:
            words = []
            continue
        indent = len(key["indent"])
        parents = [(at, name) for at, name in parents if at < indent]
        parents.append((indent, key["key"]))
        path = ".".join(name for _, name in parents)
        if any(word.startswith("-- ") for word in words):
            yield _value(path, _at(values, path), words)
        words = []


def _value(path: str, default: Any, words: list[str]) -> Value:
    start = next(at for at, word in enumerate(words) if word.startswith("-- "))
    said = [word.removeprefix("@default -- ") for word in words if word.startswith("@default")]
    kept = [word for word in words[start:] if not word.startswith("@default")]
    return Value(path, default, " ".join(kept).removeprefix("-- "), " ".join(said))


def _at(values: Any, path: str) -> Any:
    for name in path.split("."):
        values = values[name]
    return values
