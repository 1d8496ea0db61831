"""Listening in on a connection: a relay that writes down every byte of both directions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from linkerd2_py.base.tasks import cancel_all, spawn


class Wire:
    """Where to connect, and what passed."""

    def __init__(self) -> None:
        self.address: tuple[str, int] = ("", 0)
        self.passed = bytearray()
        self.connections = 0


@asynccontextmanager
async def tapped(target: tuple[str, int]) -> AsyncIterator[Wire]:
    """A relay to `target`."""
    wire = Wire()
    serving: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(65536):
                wire.passed += piece
                writer.write(piece)
                await writer.drain()
            writer.write_eof()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*target)
        try:
            await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))
        finally:
            for one in (writer, there_writer):
                one.close()
                with suppress(ConnectionError):
                    await one.wait_closed()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        serving.add(spawn(relay(reader, writer), name="wire"))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    wire.address = server.sockets[0].getsockname()
    try:
        yield wire
    finally:
        server.close()
        await cancel_all(serving)
        await server.wait_closed()
