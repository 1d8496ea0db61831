"""A body that comes before there is an endpoint costs what its bytes cost, whatever pieces they come in."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import h2.config
import h2.connection
import h2.events
import psutil
import pytest

from linkerd2_py._ext.core import debug
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from tests.support.engine import MS, engine
from tests.support.wait import eventually_async, within

PIECES = 65_535  # an HTTP/2 stream window
DATA_FRAME = b"\x00\x00\x01\x00\x00\x00\x00\x00\x01x"
# One-byte pieces come ten bytes a frame: 0.1 s a MiB would be a tenth of this.
MOST_CPU_S = 0.6
MOST_MEMORY = 16 << 20


def http2_request() -> bytes:
    client = h2.connection.H2Connection()
    client.initiate_connection()
    client.send_headers(
        1, [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "svc.test")]
    )
    return (
        client.data_to_send() + DATA_FRAME * (PIECES - 1) + b"\x00\x00\x01\x00\x01" + DATA_FRAME[5:]
    )


def http1_request() -> bytes:
    head = b"POST / HTTP/1.1\r\nHost: svc.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"1\r\nx\r\n" * PIECES + b"0\r\n\r\n"


class Sink:
    """Takes one request in either protocol, never answers, and knows in how many pieces its body came."""

    def __init__(self) -> None:
        self.size = self.pieces = self.connections = 0
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            await (self.http2(reader, writer, head) if head[:3] == b"PRI" else self.http1(reader))
            self.ended.set()
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.connections -= 1

    async def http1(self, reader: asyncio.StreamReader) -> None:
        while length := int(await reader.readline(), 16):
            await reader.readexactly(length + 2)
            self.add(length)

    async def http2(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        peer.initiate_connection()
        piece = head
        while piece:
            for event in peer.receive_data(piece):
                if isinstance(event, h2.events.DataReceived):
                    self.add(len(event.data))
                if isinstance(event, h2.events.StreamEnded):
                    return
            writer.write(peer.data_to_send())
            piece = await reader.read(65_536)

    def add(self, length: int) -> None:
        self.size += length
        self.pieces += length > 0


@pytest.mark.parametrize("request_of", [http2_request, http1_request])
async def test_single_bytes_cost_what_their_number_does(request_of: Callable[[], bytes]) -> None:
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    async with engine(failfast_ns=60_000 * MS) as made, within(30):
        target, address = made.outbound()
        _reader, writer = await asyncio.open_connection(*address)
        memory, cpu = psutil.Process().memory_info().rss, time.thread_time()
        writer.write(request_of())
        # HTTP/1 waits in the kernel once the first of it has come, HTTP/2 when its window is used up.
        wanted = len(request_of()) if request_of is http2_request else 1
        await eventually_async(lambda: read_bytes(made.metrics()) >= wanted)
        assert time.thread_time() - cpu < MOST_CPU_S
        assert psutil.Process().memory_info().rss - memory < MOST_MEMORY
        target.replace([EndpointSpec(Address(*server.sockets[0].getsockname()))])
        await sink.ended.wait()
        assert (sink.size, sink.pieces < 100) == (PIECES, True)
        writer.close()
        await writer.wait_closed()
        await eventually_async(lambda: debug.counts()["stream"] == 0)
    await eventually_async(lambda: sink.connections == 0)
    server.close()
    await server.wait_closed()


def read_bytes(metrics: str) -> int:
    """What came from clients so far."""
    lines = [line for line in metrics.splitlines() if line.startswith("tcp_read_bytes_total{")]
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines if 'peer="src"' in line)
