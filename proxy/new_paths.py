"""Paths that routes put in the place of a request's, as values."""

from __future__ import annotations

from typing import Final, NamedTuple

from linkerd2_py._ext.exchange.new_path import NewPath as EngineNewPath
from linkerd2_py.proto.gen import http_route_pb2 as http_route

WHOLE: Final = -1


class NewPath(NamedTuple):
    """`of_beginning`: in the place of the beginning that a condition meant, whose length is `cut`; else of
    all of it.
    """

    text: str
    of_beginning: bool = False
    cut: int = WHOLE

    def at(self, beginning: int) -> NewPath:
        """For requests of a condition that means paths with a beginning of that length."""
        return self._replace(cut=beginning) if self.of_beginning else self

    def engine(self) -> EngineNewPath:
        """ValueError for what is no path."""
        if not self.of_beginning:
            return EngineNewPath(self.text.encode())
        return EngineNewPath((self.text or "/").encode(), cut=max(0, self.cut))


def new_path(message: http_route.PathModifier) -> NewPath | None:
    """None: it stays. ValueError for what is no path."""
    kind = message.WhichOneof("replace")
    if kind is None:
        return None
    found = NewPath(getattr(message, kind), of_beginning=kind == "prefix")
    found.engine()
    return found
