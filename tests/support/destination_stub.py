"""A real gRPC destination service whose every stream is played by the test.

Answers that are set in `endpoints` and `profiles` are sent at once to every new stream of that path; more
can be sent to the open ones with `send`. It can be stopped and started again on the same port.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc

from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import destination_pb2_grpc as service


@dataclass(eq=False)
class Stream:
    """One open call."""

    path: str
    token: str
    queue: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, message: destination.Update | destination.DestinationProfile) -> None:
        self.queue.put_nowait(message)

    def end(self) -> None:
        """End with OK."""
        self.queue.put_nowait(None)

    def fail(self, code: grpc.StatusCode, details: str = "") -> None:
        self.queue.put_nowait((code, details))


class DestinationStub(service.DestinationServicer):
    """async with DestinationStub() as stub: … stub.address

    `place` is entered while it binds `host`: a network namespace, for example.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        place: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._host, self._place = host, place
        self.endpoints: dict[str, destination.Update] = {}
        self.profiles: dict[str, destination.DestinationProfile] = {}
        self.default_profile: destination.DestinationProfile | None = (
            destination.DestinationProfile()
        )
        self.refusals: dict[str, grpc.StatusCode] = {}
        self.profile_refusals: dict[str, grpc.StatusCode] = {}
        self.gets: list[Stream] = []
        self.profile_gets: list[Stream] = []
        self.port = 0

    @property
    def address(self) -> str:
        return f"{self._host}:{self.port}"

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        service.add_DestinationServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        with self._place():
            self.port = self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        """Cut all streams and stop listening."""
        await self._server.stop(None)
        # gRPC's threads and sockets end with the last server that is alive.
        del self._server

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def open_gets(self, path: str) -> list[Stream]:
        """Open `Get` streams of that path."""
        return [stream for stream in self.gets if stream.path == path and not stream.ended.is_set()]

    def count(self, path: str) -> int:
        """How many `Get` streams of that path there have been."""
        return sum(1 for stream in self.gets if stream.path == path)

    def send(self, path: str, update: destination.Update) -> None:
        """An update for every open stream of that path."""
        streams = self.open_gets(path)
        assert streams, f"nobody follows {path}"
        for stream in streams:
            stream.send(update)

    async def Get(  # noqa: N802  # gRPC's name
        self, request: destination.GetDestination, context: Any
    ) -> AsyncIterator[destination.Update]:
        stream = Stream(request.path, request.context_token)
        self.gets.append(stream)
        if request.path in self.endpoints:
            stream.send(self.endpoints[request.path])
        async for message in self._play(stream, self.refusals, context):
            yield message

    async def GetProfile(  # noqa: N802  # gRPC's name
        self, request: destination.GetDestination, context: Any
    ) -> AsyncIterator[destination.DestinationProfile]:
        stream = Stream(request.path, request.context_token)
        self.profile_gets.append(stream)
        profile = self.profiles.get(request.path, self.default_profile)
        if profile is not None:
            stream.send(profile)
        async for message in self._play(stream, self.profile_refusals, context):
            yield message

    async def _play(
        self, stream: Stream, refusals: dict[str, grpc.StatusCode], context: Any
    ) -> AsyncIterator[Any]:
        try:
            if stream.path in refusals:
                await context.abort(refusals[stream.path], "refused by the test")
            while (message := await stream.queue.get()) is not None:
                if isinstance(message, tuple):
                    await context.abort(*message)
                yield message
        finally:
            stream.ended.set()
