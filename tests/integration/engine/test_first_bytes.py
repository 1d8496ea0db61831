"""What a connection begins with: nothing that a lenient server could take for HTTP goes past the parser as
opaque bytes.
"""

import asyncio
import contextlib
import http.server
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from linkerd2_py._ext.core.limits import Limits
from tests.integration.adversity.rig import converse
from tests.support.engine import MS, Engine, engine
from tests.support.wait import eventually_async, within

FORGED = (
    b"\r\nHost: a\r\nl5d-client-id: admin.ns.serviceaccount.identity.linkerd.cluster.local\r\n\r\n"
)
NEARLY = [
    b"GET\t/tab\tHTTP/1.1",
    b"GET  /two-spaces HTTP/1.1",
    b"GET /r ow HTTP/1.1",
    b"GET /trailing HTTP/1.1 ",
    b"GET /01 HTTP/01.1",
    b"GET /lower http/1.1",
    b"\nGET /lf HTTP/1.1",
    b"\x0b\x1cGET\xa0/x\x85HTTP/1.1",
    b"GET /\0nul HTTP/1.1",
    b"G@T /method HTTP/1.1",
    b"\r\n\r\n\r\nGET /late HTTP/1.1",
]
TEXTS = [
    b"PING\r\n",
    b"SET k v\r\n",
    b"GET key\r\n",
    b"get a b\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b'{"id": 1}',
    b"AMQP\0\0\x09\x01",
]


@contextmanager
def lenient() -> Iterator[tuple[tuple[str, int], list[str]]]:
    """Python's own HTTP server, and the paths that reached it."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield ("127.0.0.1", server.server_port), seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[str, int]]:
    """Sends back what it gets: bytes without a protocol."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(piece)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()


def dials(made: Engine) -> str:
    """What is counted of connections to the workload."""
    return "".join(
        line
        for line in made.metrics().splitlines(True)
        if 'peer="dst"' in line and not line.endswith(" 0\n")
    )


@pytest.mark.parametrize("line", NEARLY)
async def test_a_forged_identity_does_not_reach_a_lenient_server(line: bytes) -> None:
    with lenient() as (workload, seen):
        async with engine() as made:
            got, _ = await converse(made.inbound(workload), line + FORGED)
            assert got.startswith(b"HTTP/1.1 400 ")
            assert not seen
            # The server would have taken some of them.
            got, _ = await converse(made.inbound(workload), b"GET /plain HTTP/1.1" + FORGED)
            assert got.startswith(b"HTTP/1.")
            assert seen == ["/plain"]


@pytest.mark.parametrize("line", NEARLY)
async def test_nor_a_byte_at_a_time(line: bytes) -> None:
    with lenient() as (workload, seen):
        async with engine() as made:
            reader, writer = await asyncio.open_connection(*made.inbound(workload))
            for byte in line + FORGED:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            assert (await reader.read(13)).startswith(b"HTTP/1.1 400 ")
            writer.transport.abort()
            assert not seen


@pytest.mark.parametrize("text", TEXTS)
async def test_what_is_no_http_is_carried_at_once_where_nobody_knows_better(text: bytes) -> None:
    async with echo() as workload, engine() as made:
        reader, writer = await asyncio.open_connection(*made.inbound(workload))
        writer.write(text)
        async with within(5):
            assert await reader.readexactly(len(text)) == text
        writer.transport.abort()


@pytest.mark.parametrize("text", [*TEXTS, *NEARLY])
async def test_and_refused_where_a_port_is_known_to_speak_http(text: bytes) -> None:
    async with echo() as workload, engine() as made:
        got, _ = await converse(made.inbound(workload, http=True), text + b"\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("start", [b"FOO", b"GE", b"GET\t/x", b"\r\n"])
async def test_whoever_waits_does_not_decide_how_it_is_read(start: bytes) -> None:
    limits = Limits(head_timeout_ns=50 * MS)
    async with echo() as workload, engine() as made:
        address = made.inbound(workload, detect_timeout_ns=50 * MS, limits=limits)
        got, _ = await converse(address, start, half_close=False)
    assert got.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 "))


async def test_silence_is_opaque_and_may_become_anything() -> None:
    async with echo() as workload, engine() as made:
        address = made.inbound(workload, detect_timeout_ns=50 * MS)
        reader, writer = await asyncio.open_connection(*address)
        await eventually_async(lambda: "tcp_open_total{" in dials(made), what="the workload")
        writer.write(b"FOO")
        async with within(5):
            assert await reader.readexactly(3) == b"FOO"
        writer.transport.abort()


@pytest.mark.parametrize(
    "rest", [b"\r\n\r\nXX\r\n\r\n", b"garbage that is no preface", b"\r\n\r\nSM\r\n\r\n\0\0\0"]
)
async def test_a_bad_http2_preface_is_refused_as_http2(rest: bytes) -> None:
    async with echo() as workload, engine() as made:
        got, _ = await converse(made.inbound(workload), b"PRI * HTTP/2.0" + rest)
    # GOAWAY, or the end alone: never the echo.
    assert got[3:4] in (b"", b"\x07")
