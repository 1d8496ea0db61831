"""A server behind one or two proxies of this process, and the client's end of it."""

import asyncio
import contextlib

from tests.support.engine import Engine
from tests.support.wait import within

DEADLINE_S = 10


def behind(
    made: Engine, server: tuple[str, int], *, proxies: int, h2: bool = True
) -> tuple[str, int]:
    """Where a client connects; with two proxies the leg between them is HTTP/2 unless `h2` is false."""
    if proxies == 1:
        return made.outbound(server)[1]
    return made.outbound(made.inbound(server), h2=h2)[1]


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def converse(
    address: tuple[str, int], wire: bytes, *, half_close: bool = True
) -> tuple[bytes, bool]:
    """Sends `wire`, ends our direction, reads to the proxy's end: everything it said, and whether it ended by
    reset.
    """
    reader, writer = await asyncio.open_connection(*address)
    got, was_reset = b"", False
    try:
        async with within(DEADLINE_S):
            with contextlib.suppress(OSError):
                writer.write(wire)
                if half_close:
                    writer.write_eof()
            try:
                while piece := await reader.read(65536):
                    got += piece
            except ConnectionError:
                was_reset = True
    finally:
        await close(writer)
    return got, was_reset


def statuses(answers: bytes) -> list[int]:
    """Status codes in bytes whose bodies contain no status line."""
    return [
        int(part[:3])
        for part in answers.split(b"HTTP/1.")[1:]
        for part in [part[2:]]
        if part[:3].isdigit()
    ]
