"""A server that answers each path with exact bytes and ends the connection as told, whatever that does to the
protocol.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.integration.adversity.hostile_responses import Ends

Play = Callable[[bytes], tuple[bytes, Ends]]


@dataclass(slots=True)
class Scripted:
    address: tuple[str, int] = ("", 0)
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def scripted_origin(play: Play) -> AsyncIterator[Scripted]:
    """`play` gets each request head (requests have no bodies) and gives the bytes to write and what to do
    then.
    """
    seen = Scripted()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                seen.heads.append(head)
                wire, ends = play(head)
                writer.write(wire)
                await writer.drain()
                if ends is Ends.CLOSES:
                    break
                if ends is Ends.RESETS:
                    reset(writer)
                    break
        writers.discard(writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.address = server.sockets[0].getsockname()
    try:
        yield seen
    finally:
        server.close()
        for writer in list(writers):
            writer.close()
        await server.wait_closed()
