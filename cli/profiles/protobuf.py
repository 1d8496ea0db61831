"""Routes from a .proto file: its services, read without a compiler, for what they import is not needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.profiles.profile import Route, literal

_TOKEN: Final = re.compile(
    r"""\s+ | //[^\n]* | /\*.*?\*/
      | (?P<text>"(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*')
      | (?P<word>[A-Za-z_][\w.]*) | (?P<sign>[^\s"'])""",
    re.DOTALL | re.VERBOSE,
)
_SAFE_TO_REPEAT: Final = ("IDEMPOTENT", "NO_SIDE_EFFECTS")
_OPENING, _CLOSING = frozenset("{[("), frozenset("}])")


def protobuf_routes(text: str, *, source: str) -> list[Route]:
    """One for each method, in their order. CliError for what is no such file."""
    return list(_Reader(text, source=source).routes())


class _Reader:
    """Goes through the words once."""

    def __init__(self, text: str, *, source: str) -> None:
        self._source = source
        self._words = list(self._split(text))
        self._at = 0

    def routes(self) -> Iterator[Route]:
        package = ""
        while self._at < len(self._words):
            word = self._next()
            if word == "package":
                package = self._next()
                self._rest()
            elif word == "service":
                name = self._next()
                yield from self._service(f"{package}.{name}" if package else name)
            elif word == "{":
                self._skip_block()
            else:
                self._rest(word)

    def _service(self, name: str) -> Iterator[Route]:
        self._expect("{", f"service {name}")
        while (word := self._next()) != "}":
            if word == "rpc":
                yield self._method(name)
            else:
                self._rest(word)

    def _method(self, service: str) -> Route:
        name = self._next()
        route: Route = {
            "name": name,
            "condition": {"method": "POST", "pathRegex": literal(f"/{service}/{name}")},
        }
        while (word := self._next()) not in {";", "{"}:
            pass
        if word == "{" and self._options() & set(_SAFE_TO_REPEAT):
            route["isRetryable"] = True
        return route

    def _options(self) -> set[str]:
        """What a method's `idempotency_level` is said to be."""
        found = set()
        while (word := self._next()) != "}":
            statement = [word, *self._statement(word)]
            if statement[:1] == ["option"] and "idempotency_level" in statement[:3]:
                found |= set(statement)
        return found

    def _statement(self, first: str) -> Iterator[str]:
        depth = int(first in _OPENING)
        while depth or self._peek() not in {";", "}"}:
            word = self._next()
            depth += (word in _OPENING) - (word in _CLOSING)
            yield word
        if self._peek() == ";":
            self._next()

    def _rest(self, word: str = "") -> None:
        """Go behind the end of a statement, or of the block that it has."""
        while word != ";":
            if word == "{":
                self._skip_block()
                return
            word = self._next()

    def _skip_block(self) -> None:
        depth = 1
        while depth:
            word = self._next()
            depth += (word == "{") - (word == "}")

    def _expect(self, wanted: str, where: str) -> None:
        if (found := self._next()) != wanted:
            raise CliError(f"{self._source}: {where}: {wanted!r} is expected, not {found!r}")

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def _peek(self) -> str:
        if self._at >= len(self._words):
            raise CliError(f"{self._source}: ends too early: is it a .proto file?")
        return self._words[self._at]

    def _split(self, text: str) -> Iterator[str]:
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                line = text.count("\n", 0, at) + 1
                raise CliError(f"{self._source}: line {line}: a text that does not end")
            at = found.end()
            if found.lastgroup:
                yield found[0]
