"""The Prometheus text format, read strictly and quickly.

A line is cut into its head (name and labels, as written) and its value; heads repeat from scrape to scrape,
so whoever reads many texts parses each head once and remembers it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_HEAD = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*(?:\{(.*)\})?\Z", re.DOTALL)
_LABEL = re.compile(
    r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\\n]|\\["\\n])*)"[ \t]*(?:,|\Z)'
)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)\Z")
_SPECIAL = re.compile(r"[+-]?(?:inf|infinity)\Z|nan\Z", re.IGNORECASE)
_TYPE = re.compile(
    r"#[ \t]+TYPE[ \t]+\S+[ \t]+(?:counter|gauge|histogram|summary|untyped|unknown|info)\Z"
)
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}
_ESCAPE = re.compile(r'\\["\\n]')


class ExpositionError(ValueError):
    """The text is not in the format; the message names the line."""


class Head(NamedTuple):
    """What a series is called."""

    name: str
    labels: Mapping[str, str]


def read_lines(text: str) -> Iterator[tuple[int, str, float]]:
    """Line number, head as written and value of each sample; timestamps are checked and left out."""
    if text and not text.endswith("\n"):
        raise ExpositionError("the last line does not end: the text was cut off")
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line[0] == "#":
            _check_comment(line, number=number)
            continue
        end = line.rfind("}") + 1
        if end:
            head, rest = line[:end], line[end:].split()
        else:
            head, *rest = line.split() or ("",)
        if not 1 <= len(rest) <= 2:
            raise ExpositionError(f"line {number}: not NAME{{LABELS}} VALUE: {line[:80]!r}")
        if len(rest) == 2 and not rest[1].lstrip("-").isdecimal():
            raise ExpositionError(f"line {number}: not a timestamp: {rest[1][:40]!r}")
        yield number, head, _value(rest[0], number=number)


def parse_head(head: str, *, line: int) -> Head:
    """Name and labels of a head; `line` is for the message of an `ExpositionError`."""
    match = _HEAD.match(head)
    if match is None:
        raise ExpositionError(f"line {line}: not a series name: {head[:80]!r}")
    name, inside = match.groups()
    return Head(name, _labels(inside, line=line) if inside else {})


def _labels(inside: str, *, line: int) -> Mapping[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while position < len(inside):
        match = _LABEL.match(inside, position)
        if match is None:
            raise ExpositionError(f"line {line}: not a label: {inside[position : position + 80]!r}")
        name, value = match.groups()
        if name in labels:
            raise ExpositionError(f"line {line}: label {name!r} is given twice")
        labels[name] = _unescape(value) if "\\" in value else value
        position = match.end()
    return labels


def _unescape(value: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES[match.group()], value)


def _value(text: str, *, number: int) -> float:
    # float() alone would also take underscores and other digits than ASCII's.
    if _NUMBER.match(text) or _SPECIAL.match(text):
        return float(text)
    raise ExpositionError(f"line {number}: not a value: {text[:40]!r}")


def _check_comment(line: str, *, number: int) -> None:
    if line.startswith("# TYPE") and not _TYPE.match(line):
        raise ExpositionError(f"line {number}: not # TYPE NAME KIND: {line[:80]!r}")
