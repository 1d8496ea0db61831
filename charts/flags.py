"""What `--set`, `--set-string` and `--set-file` say, read as Helm reads it.

`a.b=c,d[0]=e` sets two values; `a={b,c}` is a list, a backslash takes the next sign as itself, `null`
takes a default away. What looks like a whole number, true or false is one, except in `--set-string`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from linkerd2_py.charts.evaluate import Object, ValuesError

_LARGEST_INDEX: Final = 65536
_DEEPEST: Final = 30
_INTEGER: Final = re.compile(r"0|[+-]?[1-9][0-9]*|[+-]0[0-9]*")

Typed = Callable[[str], Any]


def typed(text: str) -> Any:
    """What a text says that is not declared to be one."""
    word = text.lower()
    if word in {"true", "false"}:
        return word == "true"
    if word == "null":
        return None
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    return text


def set_all(values: Object, text: str, *, flag: str, read: Typed = typed) -> None:
    """Sets what one flag says. Raises `ValuesError`; what was set before then stays."""
    signs = _Signs(text)
    while not signs.at_end():
        _set_one(values, signs, flag=flag, read=read)


class _Signs:
    """A text that is read from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._at = 0

    def at_end(self) -> bool:
        return self._at >= len(self.text)

    def until(self, stops: str) -> tuple[str, str]:
        """The text before one of these, and which it was: none at the end."""
        taken: list[str] = []
        while not self.at_end():
            sign = self._next()
            if sign in stops:
                return "".join(taken), sign
            if sign == "\\":
                sign = "" if self.at_end() else self._next()
            taken.append(sign)
        return "".join(taken), ""

    def take(self, sign: str) -> bool:
        """Whether this is next; then it is read."""
        found = self.text[self._at : self._at + 1] == sign
        self._at += found
        return found

    def _next(self) -> str:
        self._at += 1
        return self.text[self._at - 1]


def _set_one(values: Object, signs: _Signs, *, flag: str, read: Typed) -> None:
    path: list[str | int] = []
    while True:
        key, stop = signs.until(".[=,")
        if key or not path or not isinstance(path[-1], int):
            path.append(key)
        while stop == "[":
            path.append(_index(signs, flag=flag))
            stop = _after_index(signs, flag=flag)
        if stop == "=":
            break
        if stop != ".":
            raise ValuesError(f"{flag} {signs.text}: key {_shown(path)!r} has no value")
        if len(path) > _DEEPEST:
            raise ValuesError(f"{flag} {signs.text}: more than {_DEEPEST} names deep")
    if any(word == "" for word in path):
        raise ValuesError(f"{flag} {signs.text}: a name is missing before the value")
    _put(values, path, _value(signs, flag=flag, read=read), flag=flag, text=signs.text)


def _index(signs: _Signs, *, flag: str) -> int:
    number, closed = signs.until("]")
    if not closed or not number.isascii() or not number.isdigit() or int(number) > _LARGEST_INDEX:
        raise ValuesError(
            f"{flag} {signs.text}: [{number}] is no index: use 0 to {_LARGEST_INDEX}, in brackets"
        )
    return int(number)


def _after_index(signs: _Signs, *, flag: str) -> str:
    for stop in ("=", ".", "[", ","):
        if signs.take(stop):
            return stop
    if signs.at_end():
        return ""
    raise ValuesError(f"{flag} {signs.text}: after ] comes =, . or [")


def _value(signs: _Signs, *, flag: str, read: Typed) -> Any:
    if not signs.take("{"):
        return read(signs.until(",")[0])
    items: list[Any] = []
    while True:
        item, stop = signs.until(",}")
        if not stop:
            raise ValuesError(f"{flag} {signs.text}: a list has no end: write {{a,b}}")
        items.append(read(item))
        if stop == "}":
            break
    if not signs.at_end() and not signs.take(","):
        raise ValuesError(f"{flag} {signs.text}: after }} comes a comma")
    return items


def _put(values: Object, path: list[str | int], found: Any, *, flag: str, text: str) -> None:
    place: Any = values
    for count, (word, following) in enumerate(_steps(path), start=1):
        fits = isinstance(place, list) if isinstance(word, int) else isinstance(place, dict)
        if not fits:
            kind = "list" if isinstance(word, int) else "mapping"
            raise ValuesError(f"{flag} {text}: {_shown(path[: count - 1])} is no {kind}")
        if isinstance(word, int):
            place.extend([None] * (word + 1 - len(place)))
        if following is None:
            place[word] = found
            return
        below = place[word] if isinstance(word, int) else place.get(word)
        if below is None:
            place[word] = [] if isinstance(following, int) else {}
        place = place[word]


def _steps(path: list[str | int]) -> Iterator[tuple[str | int, str | int | None]]:
    yield from zip(path, [*path[1:], None], strict=True)


def _shown(path: list[str | int]) -> str:
    words = "".join(f"[{word}]" if isinstance(word, int) else f".{word}" for word in path)
    return words.removeprefix(".")
