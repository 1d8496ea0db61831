"""What a plain word of a manifest means: as Kubernetes' programs, which are written in Go, read it.

YAML for Python has other ideas of some: `12:30` is no number of seconds here, `1e3` is a number, and a day
is a text.
"""

from __future__ import annotations

import re
from typing import Final

Scalar = str | int | float | bool | None

_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_INTEGER: Final = re.compile(
    r"[-+]?(?:0[bB](?P<two>[01]+)|0[xX](?P<sixteen>[0-9a-fA-F]+)|0[oO]?(?P<eight>[0-7]+)"
    r"|(?P<ten>0|[1-9][0-9]*))",
    re.ASCII,
)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_BASES: Final = {"two": 2, "sixteen": 16, "eight": 8, "ten": 10}
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?", re.ASCII)
_SIGNS: Final = ("<<", "=")
"""Plain, the first merges, and the second is a type of its own in YAML 1.1."""
_LONGEST_NUMBER: Final = 64
"""Beyond any that is meant as one, and any that takes long to read."""


class SpelledInt(int):
    """A whole number that keeps how it was spelled."""

    text: str


class SpelledFloat(float):
    """A number that keeps how it was spelled."""

    text: str


def meaning_of(word: str) -> Scalar:
    """Of a plain word; of what is neither a number nor a known word, itself."""
    if word in _WORDS:
        return _spelled(_WORDS[word], word)
    if not word[0].isascii() or word[0] not in "+-.0123456789" or len(word) > _LONGEST_NUMBER:
        return word
    digits = word.replace("_", "")
    found = _INTEGER.fullmatch(digits)
    if found:
        group = found.lastgroup or "ten"
        value = int(found[group], _BASES[group])
        return _spelled(-value if digits.startswith("-") else value, word)
    if _FLOAT.fullmatch(digits):
        return _spelled(float(digits), word)
    return word


def is_plain(text: str) -> bool:
    """Whether a text may stand without quotes: it means itself, to all who read YAML."""
    if not text or not isinstance(meaning_of(text), str):
        return False
    return not (text in _SIGNS or _BASE_60.fullmatch(text) or _DAY.fullmatch(text))


def spelling_of(value: Scalar) -> str:
    """A scalar that is no text, as it was written, or is to be."""
    if isinstance(value, SpelledInt | SpelledFloat):
        return value.text
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _spelled(value: Scalar, word: str) -> Scalar:
    if isinstance(value, bool) or not isinstance(value, int | float) or str(value) == word:
        return value
    spelled: SpelledInt | SpelledFloat
    spelled = SpelledInt(value) if isinstance(value, int) else SpelledFloat(value)
    spelled.text = word
    return spelled
