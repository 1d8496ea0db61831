"""What one proxy lets through, two let through: nothing that proxies add or rewrite counts against the
application.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator

import h2.connection
import h2.events
import pytest

from tests.integration.adversity.rig import close
from tests.support.engine import engine
from tests.support.wait import in_time
from tests.support.ways import every_way, way_to

# The request line and the last empty line aside, a head may have 64 KiB.
LIMIT = 65_536


def fields(count: int, size: int) -> bytes:
    return b"".join(b"x-%03d:%s\r\n" % (n, b"v" * size) for n in range(count))


@contextlib.asynccontextmanager
async def origin() -> AsyncIterator[tuple[str, int]]:
    """Answers with as many fields of as many bytes as the path says, and the number of those of the request
    that were the client's.
    """

    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not (head := await reader.readuntil(b"\r\n\r\n")).startswith(b"PRI"):
                count, size = map(int, head.split(b" ")[1].strip(b"/").split(b"/"))
                lines = head.lower().split(b"\r\n")
                seen = b"%d %d" % (
                    sum(line.startswith(b"x-") for line in lines),
                    sum(line.startswith(b"cookie:") for line in lines),
                )
                writer.write(b"HTTP/1.1 200 OK\r\n" + fields(count, size))
                writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(seen), seen))
            writer.write(b"HTTP/1.1 505 Version Not Supported\r\n\r\n")
        await close(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*filter(None, tasks))


async def ask(address: tuple[str, int], head: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(*address, limit=1 << 20)
    writer.write(head)
    answer = await in_time(reader.readuntil(b"\r\n\r\n"), 20)
    status = int(answer.split(b" ")[1])
    length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length) if status == 200 else b""
    await close(writer)
    return status, body


@every_way
@pytest.mark.parametrize("count", [96, 99, 100, 101])
async def test_as_many_request_fields_as_one_proxy_takes(way: str, count: int) -> None:
    async with origin() as server, engine() as made:
        address = way_to(made, server, way=way)
        head = b"GET /0/0 HTTP/1.1\r\nHost: svc.test\r\n" + fields(count - 1, 1) + b"\r\n"
        status, seen = await ask(address, head)
    assert (status, seen) == ((200, b"%d 0" % (count - 1)) if count <= 100 else (431, b""))


@every_way
@pytest.mark.parametrize("count", [97, 99, 100, 101])
async def test_as_many_response_fields_as_one_proxy_takes(way: str, count: int) -> None:
    async with origin() as server, engine() as made:
        address = way_to(made, server, way=way)
        head = b"GET /%d/1 HTTP/1.1\r\nHost: svc.test\r\n\r\n" % (count - 1)
        status, _ = await ask(address, head)
    assert status == (200 if count <= 100 else 502)


@every_way
async def test_as_many_bytes_as_one_proxy_takes(way: str) -> None:
    async with origin() as server, engine() as made:
        address = way_to(made, server, way=way)
        line, host, last = b"GET /0/0 HTTP/1.1\r\n", b"Host:a\r\n", b"\r\n"
        room = LIMIT - len(line + host + last + fields(98, 600))
        filled = line + host + fields(98, 600) + b"x-last:%s\r\n" % (b"v" * (room - 9)) + last
        assert len(filled) == LIMIT
        assert await ask(address, filled) == (200, b"99 0")
        assert (await ask(address, filled.replace(b"x-last:", b"x-last:v")))[0] == 431


@every_way
async def test_the_crumbs_of_a_cookie_are_one_field(way: str) -> None:
    async with origin() as server, engine() as made:
        reader, writer = await asyncio.open_connection(*way_to(made, server, way=way))
        client = h2.connection.H2Connection()
        client.initiate_connection()
        pseudo = [(":method", "GET"), (":scheme", "http"), (":path", "/0/0"), (":authority", "a")]
        crumbs = [("cookie", f"c{n}=v") for n in range(300)]
        plain = [(f"x-{n}", "v") for n in range(98)]
        client.send_headers(1, [*pseudo, *crumbs[:150], *plain, *crumbs[150:]], end_stream=True)
        writer.write(client.data_to_send())
        body = b""
        for _ in itertools.count():
            events = client.receive_data(await in_time(reader.read(65_536), 20))
            body += b"".join(e.data for e in events if isinstance(e, h2.events.DataReceived))
            if any(isinstance(e, h2.events.StreamEnded | h2.events.StreamReset) for e in events):
                break
        await close(writer)
    assert body == b"98 1"
