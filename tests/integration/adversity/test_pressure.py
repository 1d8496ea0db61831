"""A proxy process under slow peers and without descriptors: its memory stays bounded, the others
are served.
"""

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from h2.connection import H2Connection
from h2.events import DataReceived
from h2.settings import SettingCodes

from tests.integration.adversity.rig import close, converse
from tests.support.http1_client import Http1Client
from tests.support.processes import Child
from tests.support.sidecar import Sidecar, environment, sidecar_process
from tests.support.wait import eventually_async, in_time, patience

SLOW_READERS = 500
WARM_READERS = 50
LARGE = 32 << 20
# Inbox, outbox and codecs of both connections of one exchange, with room for what the allocator keeps.
BYTES_A_READER = 160 << 10
# Over HTTP/2 a whole write, 256 KiB of bulk, may stand above the mark of the stream's queue.
BYTES_AN_H2_READER = (64 + 256 + 64) << 10
GET = b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@dataclass(slots=True)
class Pouring:
    address: tuple[str, int] = ("", 0)
    poured: int = 0
    bodies: int = 0


@contextlib.asynccontextmanager
async def pouring() -> AsyncIterator[Pouring]:
    """Answers /large with more than anybody reads, POST with its body's length, and everything else with
    `ok`.
    """
    seen = Pouring()
    writers: set[asyncio.StreamWriter] = set()
    piece = bytes(16384)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        writer.transport.set_write_buffer_limits(high=16384)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET /large"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
                    for _ in range(LARGE // len(piece)):
                        writer.write(piece)
                        await writer.drain()
                        seen.poured += len(piece)
                    continue
                if head.startswith(b"POST"):
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    await reader.readexactly(length)
                    seen.bodies += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writers.discard(writer)
        await close(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    for listener in server.sockets:
        # What the kernel holds for a connection is not what is measured here.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    seen.address = server.sockets[0].getsockname()
    try:
        yield seen
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()
        await server.wait_closed()


def asking_over_h2(path: bytes) -> H2Connection:
    """One request, to be sent, with windows that never stop its response."""
    h2 = H2Connection()
    h2.initiate_connection()
    h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
    h2.increment_flow_control_window(2**30)
    fields = (
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path.decode()),
        (":authority", "a"),
    )
    h2.send_headers(1, fields, end_stream=True)
    return h2


async def slow_reader(address: tuple[str, int], *, over_h2: bool = False) -> socket.socket:
    """Asks for more than it will read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, address)
    asking = asking_over_h2(b"/large").data_to_send() if over_h2 else GET % b"/large"
    await loop.sock_sendall(sock, asking)
    assert over_h2 or await loop.sock_recv(sock, 12) == b"HTTP/1.1 200"
    return sock


async def stalled(server: Pouring) -> None:
    """Until nothing moves any more."""
    known, quiet = -1, 0

    def still() -> bool:
        nonlocal known, quiet
        quiet = quiet + 1 if server.poured == known else 0
        known = server.poured
        return quiet >= 30

    await eventually_async(still, deadline_s=30)


@pytest.mark.slow
@pytest.mark.parametrize("over_h2", [False, True])
async def test_slow_readers_cost_bounded_memory(tmp_path: Path, over_h2: bool) -> None:
    bound = BYTES_AN_H2_READER if over_h2 else BYTES_A_READER
    async with pouring() as server:
        host, port = server.address
        with sidecar_process(
            tmp_path / "log", INBOUND_STATIC_PORTS=f"127.0.0.1:0={host}:{port}"
        ) as (proxy, child):
            address = proxy.static(direction="inbound")
            process = psutil.Process(child.pid)
            descriptors = process.num_fds()
            readers = [await slow_reader(address, over_h2=over_h2) for _ in range(WARM_READERS)]
            try:
                await stalled(server)
                warm = process.memory_info().rss
                readers += [
                    await slow_reader(address, over_h2=over_h2)
                    for _ in range(SLOW_READERS - WARM_READERS)
                ]
                await stalled(server)
                grown = process.memory_info().rss - warm
                assert grown < (SLOW_READERS - WARM_READERS) * bound, grown >> 20
                assert server.poured < SLOW_READERS * LARGE // 2
                answers = await asyncio.gather(
                    *(converse(address, GET % b"/fast") for _ in range(50))
                )
                assert all(answer.endswith(b"\r\n\r\nok") for answer, _ in answers)
                # Reading on is possible at once and gets everything.
                await read_on(readers[0], over_h2=over_h2)
            finally:
                for sock in readers:
                    sock.close()
            await eventually_async(lambda: process.num_fds() <= descriptors + 2)


async def test_a_reader_that_pauses_for_longer_than_a_ping_may_take_gets_everything(
    tmp_path: Path,
) -> None:
    async with pouring() as server:
        host, port = server.address
        with sidecar_process(
            tmp_path / "log",
            INBOUND_STATIC_PORTS=f"127.0.0.1:0={host}:{port}",
            INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL="50ms",
            INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT=f"{int(500 * patience())}ms",
        ) as (proxy, _):
            address = proxy.static(direction="inbound")
            with await slow_reader(address, over_h2=True) as paused:
                await stalled(server)
                # Whoever takes everything and answers no ping is sent away; three such lives are the pause.
                for _ in range(3):
                    reader, writer = await asyncio.open_connection(*address)
                    writer.write(asking_over_h2(b"/fast").data_to_send())
                    assert await in_time(reader.read(), 20)
                    await close(writer)
                await in_time(read_on(paused, over_h2=True), 60)


async def read_on(sock: socket.socket, *, over_h2: bool) -> None:
    """Until all of the large body has come; over HTTP/2 as a client that answers pings."""
    loop, h2, got = asyncio.get_running_loop(), asking_over_h2(b"/large"), 0
    h2.clear_outbound_data_buffer()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    while got < LARGE:
        piece = await loop.sock_recv(sock, 1 << 18)
        assert piece, got
        if over_h2:
            events = h2.receive_data(piece)
            got += sum(len(event.data) for event in events if isinstance(event, DataReceived))
            await loop.sock_sendall(sock, h2.data_to_send())
        else:
            got += len(piece)


async def test_slow_senders_hold_up_nobody(tmp_path: Path) -> None:
    async with pouring() as server:
        host, port = server.address
        with sidecar_process(
            tmp_path / "log", INBOUND_STATIC_PORTS=f"127.0.0.1:0={host}:{port}"
        ) as (proxy, child):
            address = proxy.static(direction="inbound")
            process = psutil.Process(child.pid)
            senders = [await asyncio.open_connection(*address) for _ in range(200)]
            for _reader, writer in senders:
                writer.write(
                    b"POST /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000\r\n\r\nx"
                )
            warm = process.memory_info().rss
            for _round in range(5):
                for _reader, writer in senders:
                    writer.write(b"y" * 100)
                answers = await asyncio.gather(
                    *(converse(address, GET % b"/fast") for _ in range(10))
                )
                assert all(answer.endswith(b"\r\n\r\nok") for answer, _ in answers)
            assert process.memory_info().rss - warm < 200 * BYTES_A_READER
            for _reader, writer in senders:
                writer.write(b"z" * (100_000 - 501))
            for reader, writer in senders:
                assert (await in_time(reader.read(), 10)).endswith(b"\r\n\r\nok")
                await close(writer)
            assert server.bodies == 200


@contextlib.contextmanager
def with_few_descriptors(
    log: Path, number: int, **variables: str
) -> Iterator[tuple[Sidecar, Child]]:
    """A proxy process that may open only so many files."""
    limited = f"ulimit -n {number}; exec '{sys.executable}' -m linkerd2_py.proxy"
    with Child.start(["sh", "-c", limited], log=log, env=environment(**variables)) as child:
        host, _, port = child.wait_for_line(r"listening .*admin=(\S+)").group(1).rpartition(":")
        with Http1Client.connect((host, int(port))) as client:
            answer = client.request(b"GET /listeners HTTP/1.1\r\nhost: localhost\r\n\r\n")
        yield Sidecar(json.loads(answer.body)), child


async def test_without_descriptors_who_is_here_is_served_and_others_later(tmp_path: Path) -> None:
    async with pouring() as server:
        host, port = server.address
        static = f"127.0.0.1:0={host}:{port}"
        with with_few_descriptors(tmp_path / "log", 64, INBOUND_STATIC_PORTS=static) as (
            proxy,
            child,
        ):
            address = proxy.static(direction="inbound")
            reader, writer = await asyncio.open_connection(*address)

            async def ask() -> bytes:
                writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
                return await in_time(reader.readuntil(b"\r\n\r\nok"), 10)

            assert (await ask()).startswith(b"HTTP/1.1 200")
            process = psutil.Process(child.pid)
            crowd = []
            for _ in range(100):
                sock = socket.socket()
                sock.setblocking(False)
                crowd.append(sock)
                with contextlib.suppress(BlockingIOError):
                    sock.connect(address)
            await eventually_async(lambda: process.num_fds() >= 60)
            for _ in range(20):
                assert (await ask()).startswith(b"HTTP/1.1 200")
            before = sum(process.cpu_times()[:2])
            for _ in range(20):
                assert (await ask()).startswith(b"HTTP/1.1 200")
            assert sum(process.cpu_times()[:2]) - before < 1
            for sock in crowd:
                sock.close()
            await eventually_async(lambda: process.num_fds() < 50)

            async def served() -> bool:
                answer, _ = await converse(address, GET % b"/after")
                return answer.endswith(b"\r\n\r\nok")

            # Those of the crowd that the kernel still held may use the descriptors up once more.
            await eventually_async(served, what="a new connection is served")
            await close(writer)
            assert b'listener_exhausted_total{direction="inbound"}' in await proxy.ask_admin(
                "GET", "/metrics"
            )
            assert child.terminate() == 0
            assert "Traceback" not in child.output()
            assert child.output().count("no descriptors or memory left") == 1
