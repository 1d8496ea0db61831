"""How many requests may be in flight at a port: what one too many is told, and that every way in which a
request ends gives back what it had, once.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import h2.connection
import h2.errors
import h2.events
import pytest

from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.exchange.seats import Seating, SeatLimit, Seats
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.rate import Limit, Rate
from linkerd2_py._ext.policy.rules import Rules
from linkerd2_py._ext.route.client import Permission
from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.engine import Engine, engine
from tests.support.wait import eventually_async, within

ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"


class Workload:
    """A program that does with a connection what the test says, once it has had a request."""

    def __init__(self) -> None:
        self.address = ("", 0)
        self.asked: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked.put_nowait(writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def next(self) -> asyncio.StreamWriter:
        async with within(10):
            return await self.asked.get()


@asynccontextmanager
async def workload() -> AsyncIterator[Workload]:
    made = Workload()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.address = server.sockets[0].getsockname()
    try:
        yield made
    finally:
        server.close()
        for writer in made.writers:
            writer.close()
        await server.wait_closed()


def bounded(seats: Seats, most: int = 1, *, status: int = 503, **more: object) -> Permission:
    limit = SeatLimit(seats, most, refusal="enough", status=status)
    return Permission(seating=Seating([limit]), **more)  # type: ignore[arg-type]


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def ask(self, request: bytes = ASK) -> None:
        self.writer.write(request)

    async def status(self) -> int:
        async with within(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            await self.reader.readexactly(int(length or b"0"))
        return int(head.split()[1])

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()  # type: ignore[attr-defined]


@asynccontextmanager
async def client(address: tuple[str, int]) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def becomes(seats: Seats, taken: int) -> None:
    async def so() -> bool:
        return seats.taken == taken

    _: bool = await eventually_async(so)


@pytest.mark.parametrize("status", [503, 429])
async def test_one_too_many_is_answered_at_once_and_its_connection_stays(status: int) -> None:
    seats = Seats()
    permission = bounded(seats, 2, status=status)
    async with engine() as made, workload() as program:
        address = made.inbound(program.address, authorize=lambda *_: permission)
        async with client(address) as one, client(address) as two, client(address) as three:
            one.ask()
            first = await program.next()
            two.ask()
            second = await program.next()
            assert seats.taken == 2
            for _ in range(3):
                three.ask()
                assert await three.status() == status
            assert seats.taken == 2
            first.write(OK)
            assert await one.status() == 200
            assert seats.taken == 1
            three.ask()
            third = await program.next()
            third.write(OK)
            assert await three.status() == 200
            second.write(OK)
            assert await two.status() == 200
    assert seats.taken == 0


@pytest.mark.parametrize(("status", "code"), [(503, "14"), (429, "8")])
async def test_calls_of_grpc_hear_it_in_their_words(status: int, code: str) -> None:
    """And a stream counts as long as it lives."""
    seats = Seats()
    permission = bounded(seats, status=status)
    codec = h2.connection.H2Connection()
    codec.initiate_connection()
    head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/a.B/C"),
        (":authority", "a"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    async with engine() as made, workload() as program:
        address = made.inbound(program.address, authorize=lambda *_: permission)
        async with client(address) as one:
            codec.send_headers(1, head)
            one.ask(codec.data_to_send())
            await becomes(seats, 1)
            codec.send_headers(3, head, end_stream=True)
            one.ask(codec.data_to_send())
            fields = await _answer(codec, one, stream=3)
            assert fields[":status"] == "200"
            assert (fields["grpc-status"], fields["grpc-message"]) == (code, "enough")
            codec.reset_stream(1, h2.errors.ErrorCodes.CANCEL)
            one.ask(codec.data_to_send())
            await becomes(seats, 0)


async def _answer(codec: h2.connection.H2Connection, one: Client, *, stream: int) -> dict[str, str]:
    async with within(10):
        while piece := await one.reader.read(65536):
            for event in codec.receive_data(piece):
                if isinstance(event, h2.events.ResponseReceived) and event.stream_id == stream:
                    return {bytes(n).decode(): bytes(v).decode() for n, v in event.headers}
    raise AssertionError("the connection ended without an answer")


@pytest.mark.parametrize("amid", ["head", "body"])
@pytest.mark.parametrize("who", ["client", "workload"])
async def test_whoever_breaks_off_gives_it_back(amid: str, who: str) -> None:
    seats = Seats()
    permission = bounded(seats)
    async with engine() as made, workload() as program:
        address = made.inbound(program.address, authorize=lambda *_: permission)
        async with client(address) as one:
            one.ask()
            writer = await program.next()
            if amid == "body":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")
                async with within(10):
                    await one.reader.readuntil(b"ok")
            assert seats.taken == 1
            if who == "client":
                one.reset()
            else:
                writer.transport.abort()
            await becomes(seats, 0)
        async with client(address) as other:
            other.ask()
            (await program.next()).write(OK)
            assert await other.status() == 200
    assert seats.taken == 0


async def test_who_finds_nobody_gives_it_back() -> None:
    seats = Seats()
    permission = bounded(seats)
    async with workload() as program:
        gone = program.address
    async with engine() as made:
        address = made.inbound(gone, authorize=lambda *_: permission)
        async with client(address) as one:
            one.ask()
            assert await one.status() == 502
    assert seats.taken == 0


@pytest.mark.parametrize("method", ["upgrade", "connect"])
async def test_a_tunnel_counts_until_it_ends(method: str) -> None:
    seats = Seats()
    permission = bounded(seats)
    request, answer = (
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n", SWITCHED)
        if method == "upgrade"
        else (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
    )
    async with engine() as made, workload() as program:
        address = made.inbound(program.address, authorize=lambda *_: permission)
        async with client(address) as one, client(address) as other:
            one.ask(request)
            writer = await program.next()
            writer.write(answer + b"hello")
            async with within(10):
                await one.reader.readuntil(b"hello")
            assert seats.taken == 1
            other.ask()
            assert await other.status() == 503
            one.reset()
            await becomes(seats, 0)
            other.ask()
            (await program.next()).write(OK)
            assert await other.status() == 200


async def test_what_has_no_limit_is_let_in_and_does_not_count() -> None:
    seats = Seats()
    permission = bounded(
        seats,
        rules=Rules([match.path(b"/live")]),
        routes=(0,),
        passage=lambda _: Passage(limited=False),
    )
    async with engine() as made, workload() as program:
        address = made.inbound(program.address, authorize=lambda *_: permission)
        async with client(address) as one, client(address) as probe:
            one.ask()
            writer = await program.next()
            probe.ask(ASK.replace(b"/ ", b"/live "))
            (await program.next()).write(OK)
            assert await probe.status() == 200
            assert seats.taken == 1
            writer.write(OK)
            assert await one.status() == 200


async def test_who_is_refused_by_one_limit_takes_nothing_from_another() -> None:
    mine, all_of_them = Seats(), Seats()
    rate = Limit(Rate(2), refusal="too often")
    permission = Permission(
        limits=(rate,),
        seating=Seating(
            [
                SeatLimit(all_of_them, 10, refusal="total"),
                SeatLimit(mine, 1, refusal="mine", status=429),
            ]
        ),
    )
    async with engine() as made, workload() as program:
        address = made.inbound(program.address, authorize=lambda *_: permission)
        async with client(address) as one, client(address) as two:
            one.ask()
            writer = await program.next()
            for _ in range(3):
                two.ask()
                assert await two.status() == 429
            assert (mine.taken, all_of_them.taken) == (1, 1)
            writer.write(OK)
            assert await one.status() == 200
            # The rate has room for one more, which those that were refused did not take.
            one.ask()
            (await program.next()).write(OK)
            assert await one.status() == 200
            one.ask()
            assert await one.status() == 429
            assert (mine.taken, all_of_them.taken) == (0, 0)


async def test_a_thousand_at_once_leave_none_behind() -> None:
    seats = Seats()
    permission = bounded(seats, 100)

    async def one(made: Engine, address: tuple[str, int]) -> int:
        async with client(address) as asks:
            asks.ask()
            return await asks.status()

    async def answer(program: Workload) -> None:
        while True:
            (await program.asked.get()).write(OK)

    async with (
        engine(failfast_ns=60_000_000_000, connect_timeout_ns=60_000_000_000) as made,
        workload() as program,
    ):
        address = made.inbound(program.address, authorize=lambda *_: permission)
        answers = spawn(answer(program), name="answers")
        async with within(30):
            found = await asyncio.gather(*(one(made, address) for _ in range(1000)))
        await cancel_all([answers])
    assert set(found) <= {200, 503}
    assert found.count(200) >= 100
    assert seats.taken == 0


def test_limits_that_let_nobody_in() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SeatLimit(Seats(), 0, refusal="")
    with pytest.raises(TypeError):
        Seating([None])  # type: ignore[list-item]
