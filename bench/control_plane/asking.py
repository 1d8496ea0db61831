"""`python -m bench.control_plane.asking ADDRESS PATH STREAMS CONNECTIONS`: proxies that ask for a path over
gRPC, all in one process.

Prints a line whenever every stream has got one more message.
"""

import asyncio
import itertools
import sys
from collections.abc import Sequence

import grpc

from linkerd2_py.base.tasks import spawn
from linkerd2_py.proto.gen import destination_pb2 as messages

GET = "/io.linkerd.proxy.destination.Destination/Get"
# Each channel has a connection of its own, and its streams all start at once.
_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
# A server of gRPC turns away some of those that ask before a thousand others have been let in.
_OPENING_AT_ONCE = 500


class Asking:
    """Streams, and how many messages each has got."""

    def __init__(self, streams: int) -> None:
        self._missing = [streams]
        self._streams = streams
        self._opening = asyncio.Semaphore(_OPENING_AT_ONCE)

    async def read(self, channel: grpc.aio.Channel, *, request: bytes) -> None:
        """One stream, until the server ends it."""
        async with self._opening:
            call = channel.unary_stream(GET)(request)
            await self._read(call, number=0)
        for number in itertools.count(1):
            await self._read(call, number=number)

    async def _read(self, call: "grpc.aio.UnaryStreamCall[bytes, bytes]", *, number: int) -> None:
        if await call.read() is grpc.aio.EOF:
            raise EOFError("the server ended a stream")
        if number == len(self._missing):
            self._missing.append(self._streams)
        self._missing[number] -= 1
        if not self._missing[number]:
            print("told", flush=True)


async def _ask(address: str, path: str, *, streams: int, connections: int) -> None:
    channels = [grpc.aio.insecure_channel(address, options=_OPTIONS) for _ in range(connections)]
    request = messages.GetDestination(path=path).SerializeToString()
    asking = Asking(streams)
    reading = [
        spawn(asking.read(channels[number % connections], request=request), name="bench-asking")
        for number in range(streams)
    ]
    await asyncio.gather(*reading)


def main(words: Sequence[str]) -> None:
    """Until killed."""
    address, path, streams, connections = words
    asyncio.run(_ask(address, path, streams=int(streams), connections=int(connections)))


if __name__ == "__main__":
    main(sys.argv[1:])
