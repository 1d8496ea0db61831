"""A raw HTTP/1 server for tests: a function from request head and body to the exact bytes of the response."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.support.wait import within

Answer = Callable[[bytes, bytes], bytes]
DEADLINE_S = 20


@dataclass(slots=True)
class Origin:
    """Where it listens and what it saw."""

    address: tuple[str, int] = ("", 0)
    heads: list[bytes] = field(default_factory=list)
    trailers: list[bytes] = field(default_factory=list)
    connections: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)


async def read_body(reader: asyncio.StreamReader, head: bytes, *, trailers: list[bytes]) -> bytes:
    """The body; the lines after its last chunk go to `trailers`."""
    fields = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        while (line := await reader.readline()) != b"\r\n":
            trailers.append(line)
        return body
    return await reader.readexactly(int(fields.get(b"content-length", b"0")))


@asynccontextmanager
async def origin(
    answer: Answer, *, close_after: int = 0, host: str = "127.0.0.1"
) -> AsyncIterator[Origin]:
    """Serves keep-alive connections; closes each after `close_after` responses when that is not 0. An empty
    answer closes at once.
    """
    seen = Origin()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        seen.writers.add(writer)
        answered = 0
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not close_after or answered < close_after:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await read_body(reader, head, trailers=seen.trailers)
                seen.heads.append(head)
                response = answer(head, body)
                if not response:
                    break
                writer.write(response)
                await writer.drain()
                answered += 1
        seen.writers.discard(writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, host, 0, limit=1 << 22)
    seen.address = server.sockets[0].getsockname()
    try:
        yield seen
    finally:
        server.close()
        for writer in list(seen.writers):
            writer.close()
        await server.wait_closed()


async def talk(address: tuple[str, int], request: bytes, *, until: bytes | None = None) -> bytes:
    """Sends `request`, reads until those bytes (or the end of the connection), closes."""
    reader, writer = await asyncio.open_connection(*address, limit=1 << 24)
    writer.write(request)
    try:
        async with within(DEADLINE_S):
            got = b""
            while until is None or until not in got:
                try:
                    piece = await reader.read(1 << 16)
                except ConnectionError:
                    break
                if not piece:
                    break
                got += piece
            return got
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
