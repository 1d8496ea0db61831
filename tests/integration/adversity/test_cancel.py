"""Who goes away is noticed at the other end, whatever lies between; who drains says so and lets the others
finish.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeVar

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from tests.integration.adversity.rig import behind, close
from tests.integration.adversity.scripted_origin import reset
from tests.support.engine import engine
from tests.support.wait import eventually_async, in_time, within

E = TypeVar("E", bound=h2.events.Event)
both = pytest.mark.parametrize("proxies", [1, 2])


@dataclass(slots=True)
class Holding:
    """An HTTP/1 server that answers `/head` with the beginning of a response and everything else with
    silence.
    """

    address: tuple[str, int] = ("", 0)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)


@contextlib.asynccontextmanager
async def holding() -> AsyncIterator[Holding]:
    seen = Holding()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/head" in head:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            seen.asked.set()
            await reader.read()
        if seen.asked.is_set():
            seen.left.set()
        writers.discard(writer)
        await close(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.address = server.sockets[0].getsockname()
    try:
        yield seen
    finally:
        server.close()
        for writer in list(writers):
            writer.close()
        await server.wait_closed()


@both
@pytest.mark.parametrize("leg_is_h2", [False, True])
@pytest.mark.parametrize("path", [b"/silent", b"/head"])
@pytest.mark.parametrize("body", [b"", b"Content-Length: 10\r\n"])
async def test_a_reset_reaches_an_http1_server(
    path: bytes, body: bytes, proxies: int, *, leg_is_h2: bool
) -> None:
    async with engine() as made, holding() as server:
        address = behind(made, server.address, proxies=proxies, h2=leg_is_h2)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"POST " + path + b" HTTP/1.1\r\nHost: a\r\n" + body + b"\r\n")
        await in_time(server.asked.wait(), 10)
        if path == b"/head":
            await in_time(reader.readuntil(b"half"), 10)
        reset(writer)
        await in_time(server.left.wait(), 10)
        await close(writer)


@both
async def test_a_half_close_after_a_request_still_gets_the_answer(proxies: int) -> None:
    """A client may end its direction and wait: that is no cancellation (RFC 9112 section 9.6)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await close(writer)

    asked, release = asyncio.Event(), asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with engine() as made:
        address = behind(made, server.sockets[0].getsockname(), proxies=proxies)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        writer.write_eof()
        await in_time(asked.wait(), 10)
        release.set()
        assert (await in_time(reader.read(), 10)).endswith(b"\r\n\r\nok")
        await close(writer)
    server.close()
    await server.wait_closed()


class Http2Peer:
    """One HTTP/2 connection of the h2 library, as client or server."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, client: bool
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=client, header_encoding=None)
        )
        self.h2.initiate_connection()
        self.flush()
        self.seen: list[h2.events.Event] = []

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    async def until(self, kind: type[E]) -> E:
        """The next event of that kind; everything else is kept in `seen`."""
        async with within(10):
            while True:
                for event in self.seen:
                    if isinstance(event, kind):
                        self.seen.remove(event)
                        return event
                piece = await self.reader.read(65536)
                assert piece, f"ended before {kind}"
                self.seen += self.h2.receive_data(piece)
                self.flush()

    def ask(self, path: bytes, *, end: bool = True) -> int:
        number = self.h2.get_next_available_stream_id()
        fields = [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":authority", b"a"),
            (b":path", path),
        ]
        self.h2.send_headers(number, fields, end_stream=end)
        self.flush()
        return number


@contextlib.asynccontextmanager
async def http2_server() -> AsyncIterator[tuple[tuple[str, int], asyncio.Queue[Http2Peer]]]:
    peers: asyncio.Queue[Http2Peer] = asyncio.Queue()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A connection tried out by the balancer carries nothing: it is no peer until it speaks.
        writers.add(writer)
        first = await reader.read(65536)
        if not first:
            await close(writer)
            return
        peer = Http2Peer(reader, writer, client=False)
        peer.seen += peer.h2.receive_data(first)
        peer.flush()
        peers.put_nowait(peer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname(), peers
    finally:
        server.close()
        for writer in writers:
            await close(writer)
        await server.wait_closed()


@both
async def test_a_cancelled_stream_is_cancelled_at_the_server(proxies: int) -> None:
    async with engine() as made, http2_server() as (address, peers):
        client = Http2Peer(
            *await asyncio.open_connection(*behind(made, address, proxies=proxies)), client=True
        )
        number = client.ask(b"/x", end=False)
        server = await in_time(peers.get(), 10)
        asked = await server.until(h2.events.RequestReceived)
        client.h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
        client.flush()
        ended = await server.until(h2.events.StreamReset)
        assert ended.stream_id == asked.stream_id
        assert ended.error_code is h2.errors.ErrorCodes.CANCEL
        await close(client.writer)


@both
@pytest.mark.parametrize("hard", [False, True])
async def test_a_client_connection_that_ends_cancels_its_streams(
    proxies: int, *, hard: bool
) -> None:
    async with engine() as made, http2_server() as (address, peers):
        client = Http2Peer(
            *await asyncio.open_connection(*behind(made, address, proxies=proxies)), client=True
        )
        client.ask(b"/x")
        server = await in_time(peers.get(), 10)
        await server.until(h2.events.RequestReceived)
        if hard:
            reset(client.writer)
        await close(client.writer)
        await server.until(h2.events.StreamReset)


@both
@pytest.mark.parametrize(
    "code",
    [
        h2.errors.ErrorCodes.CANCEL,
        h2.errors.ErrorCodes.INTERNAL_ERROR,
        h2.errors.ErrorCodes.ENHANCE_YOUR_CALM,
    ],
)
@pytest.mark.parametrize("after_head", [False, True])
async def test_reset_codes_pass_between_http2_peers(
    code: h2.errors.ErrorCodes, proxies: int, *, after_head: bool
) -> None:
    async with engine() as made, http2_server() as (address, peers):
        client = Http2Peer(
            *await asyncio.open_connection(*behind(made, address, proxies=proxies)), client=True
        )
        client.ask(b"/x")
        server = await in_time(peers.get(), 10)
        asked = await server.until(h2.events.RequestReceived)
        assert asked.stream_id
        if after_head:
            server.h2.send_headers(asked.stream_id, [(b":status", b"200")])
            server.flush()
            await client.until(h2.events.ResponseReceived)
        server.h2.reset_stream(asked.stream_id, code)
        server.flush()
        ended = await client.until(h2.events.StreamReset)
        assert ended.error_code is code
        await close(client.writer)


async def test_a_reset_is_502_for_an_http1_client() -> None:
    """Over the leg between two proxies: the server's HTTP/1 connection dies, the leg resets, the client gets
    a response.
    """
    async with engine() as made, holding() as server:
        address = behind(made, server.address, proxies=2)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /silent HTTP/1.1\r\nHost: a\r\n\r\n")
        await in_time(server.asked.wait(), 10)
        made.servers[0].abort_all()
        assert (await in_time(reader.read(), 10)).startswith(b"HTTP/1.1 502 ")
        await close(writer)


async def test_a_stalled_stream_stalls_only_itself() -> None:
    """One stream's receiver stops reading; another on the same connections moves 4 MiB."""
    async with engine() as made, http2_server() as (address, peers):
        client = Http2Peer(
            *await asyncio.open_connection(*behind(made, address, proxies=2)), client=True
        )
        stalled = client.ask(b"/stalled")
        server = await in_time(peers.get(), 10)
        first = await server.until(h2.events.RequestReceived)
        other = client.ask(b"/other")
        second = await server.until(h2.events.RequestReceived)
        assert first.stream_id
        assert second.stream_id
        for number in (first.stream_id, second.stream_id):
            server.h2.send_headers(number, [(b":status", b"200")])
        # Fills every window on the way, which the client never opens again.
        left = {first.stream_id: 1 << 20, second.stream_id: 4 << 20}
        got = {stalled: 0, other: 0}

        async def pour() -> None:
            while left[second.stream_id]:
                for number in tuple(left):
                    room = min(left[number], server.h2.local_flow_control_window(number), 16384)
                    if room:
                        server.h2.send_data(number, bytes(room))
                        left[number] -= room
                server.flush()
                await server.writer.drain()
                if not server.h2.local_flow_control_window(second.stream_id):
                    await server.until(h2.events.WindowUpdated)

        async def drink() -> None:
            while got[other] < 4 << 20:
                event = await client.until(h2.events.DataReceived)
                got[event.stream_id] += len(event.data)
                if event.stream_id == other:
                    client.h2.acknowledge_received_data(event.flow_controlled_length, other)
                else:
                    client.h2.increment_flow_control_window(event.flow_controlled_length)
                client.flush()

        await in_time(asyncio.gather(pour(), drink()), 20)
        assert got[stalled] <= 65_535
        await close(client.writer)


@both
async def test_drain_of_http1(proxies: int) -> None:
    async with engine() as made, holding() as server:
        address = behind(made, server.address, proxies=proxies)
        idle_reader, idle = await asyncio.open_connection(*address)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /head HTTP/1.1\r\nHost: a\r\n\r\n")
        await in_time(reader.readuntil(b"half"), 10)
        made.servers[-1].drain()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        assert await in_time(idle_reader.read(), 10) == b""
        assert made.servers[-1].open_connections == 1
        made.servers[-1].abort_all()
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await in_time(reader.readexactly(96), 10)
        await in_time(server.left.wait(), 10)
        for each in (idle, writer):
            await close(each)


@both
async def test_drain_of_http2(proxies: int) -> None:
    async with engine() as made, http2_server() as (address, peers):
        client = Http2Peer(
            *await asyncio.open_connection(*behind(made, address, proxies=proxies)), client=True
        )
        number = client.ask(b"/x")
        server = await in_time(peers.get(), 10)
        asked = await server.until(h2.events.RequestReceived)
        assert asked.stream_id
        made.servers[-1].drain()
        await client.until(h2.events.ConnectionTerminated)
        # The library takes GOAWAY for the end; it is only the announcement of one (RFC 9113 section 6.8).
        client.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        server.h2.send_headers(asked.stream_id, [(b":status", b"200")])
        server.h2.send_data(asked.stream_id, b"ok", end_stream=True)
        server.flush()
        ended = await client.until(h2.events.StreamEnded)
        assert ended.stream_id == number
        await eventually_async(lambda: made.servers[-1].open_connections == 0)
        await close(client.writer)


async def test_drain_waits_for_tcp() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            writer.write(piece)
        await close(writer)

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with engine() as made:
        _target, address = made.outbound(server.sockets[0].getsockname(), opaque=True)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"a")
        assert await in_time(reader.readexactly(1), 10) == b"a"
        made.servers[-1].drain()
        writer.write(b"b")
        assert await in_time(reader.readexactly(1), 10) == b"b"
        writer.write_eof()
        assert await in_time(reader.read(), 10) == b""
        await close(writer)
        await eventually_async(lambda: made.servers[-1].open_connections == 0)
    server.close()
    await server.wait_closed()
