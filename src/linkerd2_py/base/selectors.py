"""Label selectors in kubectl's language: `app=web`, `app!=web`, `app in (web,api)`, `app notin (web)`,
`app`, `!app`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

Labels = Mapping[str, str]
Requirement = Callable[[Labels], bool]

_KEY: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE: Final = r"[A-Za-z0-9._-]*"
_EQUALITY: Final = re.compile(rf"({_KEY})\s*(=|==|!=)\s*({_VALUE})")
_SET: Final = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_PRESENCE: Final = re.compile(rf"(!?)\s*({_KEY})")
_COMMA: Final = re.compile(r",(?![^(]*\))")
"""Between requirements, not within the braces of one."""


def parse_selector(text: str) -> Requirement:
    """Whether some labels are meant. ValueError for what kubectl would not read."""
    wanted = [_requirement(part.strip(), whole=text) for part in _COMMA.split(text)] if text else []
    return lambda labels: all(fits(labels) for fits in wanted)


def _requirement(part: str, *, whole: str) -> Requirement:
    if match := _EQUALITY.fullmatch(part):
        key, sign, value = match.groups()
        return _among(key, {value}, wanted=sign != "!=")
    if match := _SET.fullmatch(part):
        key, word, values = match.groups()
        return _among(key, {value.strip() for value in values.split(",")}, wanted=word == "in")
    if match := _PRESENCE.fullmatch(part):
        absent, key = match.groups()
        return lambda labels: (key in labels) != bool(absent)
    raise ValueError(f"{whole!r} is not a label selector: write e.g. app=web")


def _among(key: str, values: set[str], *, wanted: bool) -> Requirement:
    # As in Kubernetes, what lacks a label is not equal to any value of it.
    return lambda labels: (labels.get(key) in values) == wanted
