"""What routes change of fields, as values."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.exchange.new_path import NewPath as EngineNewPath
from linkerd2_py.proto.gen import http_types_pb2 as http_types

Fields = tuple[tuple[bytes, bytes], ...]


class Modifier(NamedTuple):
    """In this order."""

    add: Fields = ()
    set: Fields = ()
    remove: tuple[bytes, ...] = ()

    def edits(self, *, path: EngineNewPath | None = None, host: str = "") -> Edits:
        """For the engine; of requests with what they ask for."""
        return Edits(add=self.add, set=self.set, remove=self.remove, path=path, host=host.encode())


class Modifiers(NamedTuple):
    """Of requests and of responses; None: nothing is changed."""

    of_requests: Modifier | None = None
    of_responses: Modifier | None = None


UNCHANGED: Final = Modifiers()


def modifier(message: Any) -> tuple[Modifier, list[str]]:
    """Of a filter for requests or for responses, and what is left out, for it is not a route's to change.
    ValueError for what is no value of a field.
    """
    left_out: list[str] = []

    def may_change(name: bytes) -> bool:
        try:
            Edits(remove=[name])
        except ValueError as error:
            left_out.append(str(error))
            return False
        return True

    found = Modifier(
        tuple(one for one in _fields(message.add) if may_change(one[0])),
        tuple(one for one in _fields(message.set) if may_change(one[0])),
        tuple(name.encode() for name in message.remove if may_change(name.encode())),
    )
    found.edits()
    return found, left_out


def _fields(headers: http_types.Headers) -> Fields:
    return tuple((one.name.encode(), one.value) for one in headers.headers)
