"""`grpc.health.v1`: which services are serving, for whoever asks once or goes on listening."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2 as messages

from linkerd2_py.controlplane.calls import Methods, ProxyCall, RefusedCallError

SERVICE: Final = "grpc.health.v1.Health"
# The name of the whole server.
ALL: Final = ""

_Status = messages.HealthCheckResponse


class Health:
    """What was said of each service last."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}
        self._changed = asyncio.Event()

    def methods(self) -> Methods:
        """By their names."""
        return {"Check": self.check, "Watch": self.watch}

    def say(self, name: str, *, serves: bool) -> None:
        """Of one service; whoever watches it hears of it."""
        self._said[name] = _Status.SERVING if serves else _Status.NOT_SERVING
        self._tell()

    def end(self) -> None:
        """Nothing is served any more."""
        self._said = dict.fromkeys(self._said, _Status.NOT_SERVING)
        self._tell()

    async def check(self, request: bytes, call: ProxyCall) -> bytes:
        """How it is now."""
        name = _name(request)
        if name not in self._said:
            raise RefusedCallError(grpc.StatusCode.NOT_FOUND, f"no service is called {name!r}")
        return _answer(self._said[name])

    async def watch(self, request: bytes, call: ProxyCall) -> None:
        """How it is now, and whenever that changes; also of what is not served yet."""
        name, last = _name(request), None
        while True:
            changed, said = self._changed, self._said.get(name, _Status.SERVICE_UNKNOWN)
            if said != last:
                call.send(_answer(said))
                last = said
            await changed.wait()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _name(request: bytes) -> str:
    try:
        name: str = messages.HealthCheckRequest.FromString(request).service
    except DecodeError as error:
        words = "the request is not a HealthCheckRequest"
        raise RefusedCallError(grpc.StatusCode.INVALID_ARGUMENT, words) from error
    return name


def _answer(status: int) -> bytes:
    encoded: bytes = _Status(status=status).SerializeToString()
    return encoded
