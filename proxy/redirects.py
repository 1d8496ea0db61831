"""Where routes tell clients to ask instead, as values."""

from __future__ import annotations

from typing import Final, NamedTuple

from linkerd2_py._ext.exchange.redirect import Redirect as EngineRedirect
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proxy.new_paths import NewPath, new_path

_MOVED: Final = 301
"""What a redirect without a status says, as in Linkerd."""


class Redirect(NamedTuple):
    """What is empty, 0 or None stays as it was asked for."""

    status: int = _MOVED
    scheme: str = ""
    host: str = ""
    port: int = 0
    path: NewPath | None = None

    def at(self, beginning: int) -> Redirect:
        """As of a path (`NewPath.at`)."""
        return self if self.path is None else self._replace(path=self.path.at(beginning))

    def engine(self) -> EngineRedirect:
        """ValueError for what no client could be told."""
        return EngineRedirect(
            self.status,
            scheme=self.scheme.encode(),
            host=self.host.encode(),
            port=self.port,
            path=None if self.path is None else self.path.engine(),
        )


def redirect(message: http_route.RequestRedirect) -> Redirect:
    """ValueError for what no client could be told."""
    found = Redirect(
        status=message.status or _MOVED,
        scheme=_scheme(message.scheme) if message.HasField("scheme") else "",
        host=message.host,
        port=message.port,
        path=new_path(message.path) if message.HasField("path") else None,
    )
    found.engine()
    return found


def _scheme(message: http_types.Scheme) -> str:
    kind = message.WhichOneof("type")
    if kind == "registered" and message.registered in http_types.Scheme.Registered.values():
        return http_types.Scheme.Registered.Name(message.registered).lower()
    if kind == "unregistered" and message.unregistered:
        return message.unregistered.lower()
    raise ValueError("a redirect to a scheme that has no name")
