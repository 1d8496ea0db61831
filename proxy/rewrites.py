"""What routes make of what a request asks for, as values."""

from __future__ import annotations

from typing import NamedTuple

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proxy.new_paths import NewPath, new_path


class Rewrite(NamedTuple):
    """What is empty or None stays as it was asked for."""

    host: str = ""
    path: NewPath | None = None

    def at(self, beginning: int) -> Rewrite:
        """As of a path (`NewPath.at`)."""
        return self if self.path is None else self._replace(path=self.path.at(beginning))


def rewrite(message: http_route.UrlRewrite) -> Rewrite:
    """ValueError for what no request could ask for."""
    found = Rewrite(message.host, new_path(message.path) if message.HasField("path") else None)
    Edits(host=found.host.encode())
    return found
