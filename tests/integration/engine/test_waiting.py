"""Whoever waits for a connection or a stream of an endpoint waits for the fail-fast time at most, and makes
no more connections than serve him.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.engine import MS, engine
from tests.support.http2_script import (
    ACK,
    DATA,
    END_STREAM,
    HEADERS,
    REFUSED_STREAM,
    SETTINGS,
    Link,
    ask,
    frame,
    goaway,
    request,
    reset,
    scripted,
    settings,
)
from tests.support.origin import origin, talk
from tests.support.wait import eventually_async

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
FIRST_FLIGHT = 1
SYN_SENT = "02"
HOUR = 3_600_000 * MS


class Limited:
    """A server that says late how many streams it takes, refuses what exceeds them, and counts."""

    def __init__(self, limit: int, *, settings_at_once: bool = False) -> None:
        self.limit = limit
        self.may_say = asyncio.Event()
        self.may_answer = asyncio.Event()
        if settings_at_once:
            self.may_say.set()
        self.flights: dict[int, int] = {}
        self.refused = 0
        self.most = 0

    async def script(self, link: Link, number: int) -> None:
        open_now: dict[int, bool] = {}
        said = self.may_say.is_set()
        link.acknowledges = False

        async def say() -> None:
            await self.may_say.wait()
            link.acknowledges = True
            link.send(settings(streams=self.limit), frame(SETTINGS, ACK))
            # What came before anybody could know is refused from the limit on.
            for stream in list(open_now)[self.limit :]:
                self.refuse(link, open_now, stream)

        async def answer(stream: int) -> None:
            await self.may_answer.wait()
            if open_now.pop(stream, None):
                link.answer(stream, body=b"ok")

        tasks = [spawn(say(), name="settings")]
        acknowledged = False
        async for got in link.frames():
            if got.kind == SETTINGS and got.flags:
                acknowledged = True
            if got.kind == HEADERS:
                if not acknowledged:
                    self.flights[number] = self.flights.get(number, 0) + 1
                open_now[got.stream] = False
                if said and len(open_now) > self.limit:
                    self.refuse(link, open_now, got.stream)
                self.most = max(self.most, len(open_now)) if acknowledged else self.most
            if got.kind in (HEADERS, DATA) and got.flags & END_STREAM and got.stream in open_now:
                open_now[got.stream] = True
                tasks.append(spawn(answer(got.stream), name="answer"))
        for task in tasks:
            task.cancel()

    def refuse(self, link: Link, open_now: dict[int, bool], stream: int) -> None:
        self.refused += 1
        del open_now[stream]
        link.send(reset(stream, REFUSED_STREAM))


@pytest.mark.parametrize("body", [b"", b"x" * 3000])
async def test_a_burst_before_settings_is_served_whole(body: bytes) -> None:
    """A first flight that exceeds no limit; the others wait for a stream, over few connections, and nothing
    is ever refused.
    """
    burst, limit = 40, 3
    server = Limited(limit)
    async with (
        engine(failfast_ns=30_000 * MS, http2_max_connections=4) as made,
        scripted(server.script) as where,
    ):
        _target, address = made.outbound(where.address)
        asking = spawn(ask(address, *[(request(), body)] * burst), name="burst")
        await eventually_async(
            lambda: server.flights.get(1) == FIRST_FLIGHT, what="the first flight"
        )
        server.may_say.set()
        server.may_answer.set()
        outcomes = await asking
    assert [outcome.status for outcome in outcomes] == ["200"] * burst
    assert where.connections <= 4
    # No later connection exceeded a limit that was known.
    assert set(server.flights.values()) == {FIRST_FLIGHT}
    assert server.refused == 0
    assert server.most <= limit


async def test_an_endpoint_that_allows_no_streams_is_waited_for_and_then_avoided() -> None:
    async def none(link: Link, _number: int) -> None:
        link.send(settings(streams=0))
        async for _ in link.frames():
            pass

    async with (
        engine(backoff_min_ns=60_000 * MS, backoff_max_ns=60_000 * MS) as made,
        scripted(none) as server,
        origin(lambda _h, _b: OK) as good,
    ):
        target, address = made.outbound(server.address, h2=True)
        # The limit becomes known.
        await talk(address, GET, until=b"\r\n\r\n")
        target.replace([EndpointSpec(Address(*server.address), h2=True)])
        answers = await asyncio.gather(*(talk(address, GET, until=b"\r\n\r\n") for _ in range(20)))
        assert {answer.split()[1] for answer in answers} <= {b"503", b"504"}
        assert server.connections <= 3
        target.add([EndpointSpec(Address(*good.address))])
        answers = [await talk(address, GET, until=b"ok") for _ in range(20)]
        assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers), answers


async def test_the_error_says_what_was_waited_for() -> None:
    """One stream at a time, and it is in use."""
    started = asyncio.Event()

    async def one(link: Link, _number: int) -> None:
        link.send(settings(streams=1))
        async for got in link.frames():
            if got.kind == HEADERS:
                started.set()

    async with engine(http2_max_connections=1) as made, scripted(one) as server:
        _target, address = made.outbound(server.address, h2=True)
        first = spawn(talk(address, GET, until=b"ok"), name="first")
        await started.wait()
        got = await talk(address, GET, until=b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 504 "), got
        assert b"l5d-proxy-error: the endpoint gave no connection or stream in time" in got
        assert server.connections == 1
        for link in server.links:
            link.answer(1, body=b"ok")
        assert (await first).startswith(b"HTTP/1.1 200 ")


IN_VAIN = {
    "closes at once": lambda link: link.writer.transport.abort(),
    "goes away at once": lambda link: link.send(settings(), goaway(0)),
    "says nothing and closes": lambda link: None,
}


@pytest.mark.parametrize("name", IN_VAIN)
async def test_connections_made_in_vain_are_not_made_again_and_again(name: str) -> None:
    """A hundred wait; the endpoint takes connections and no streams. Each is answered, and no connection is
    made for each.
    """

    async def script(link: Link, _number: int) -> None:
        IN_VAIN[name](link)

    async with engine() as made, scripted(script) as server:
        _target, address = made.outbound(server.address)
        outcomes = await ask(address, *[(request(), b"x")] * 100)
        assert all(o.status in {"502", "503", "504"} or o.reset for o in outcomes), outcomes
        assert server.connections <= 20


@contextmanager
def dropping() -> Iterator[tuple[str, int]]:
    """An address whose queue is full: connects there get no answer."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for taken in (first, second):
            taken.setblocking(False)
            taken.connect_ex(full.getsockname())
        yield full.getsockname()


async def test_connects_under_way_are_bounded() -> None:
    """Towards a host that drops SYNs."""
    with dropping() as (host, port):
        before = connecting(port)
        # Nothing ends on its own while the sockets are counted.
        async with engine(max_dials=4, connect_timeout_ns=HOUR, failfast_ns=HOUR) as made:
            table = made.table("inbound")
            target = table.install(b"workload:80")
            target.configure()
            target.forward(EndpointSpec(Address(host, port)))
            _server, address = made.server(table, target=target)
            asking = {spawn(talk(address, GET), name="asks") for _ in range(30)}
            await eventually_async(
                lambda: target.endpoints_state()[0]["pending"] == 30, what="all of them wait"
            )
            assert connecting(port) - before == 4
            await cancel_all(asking)


async def test_who_waits_for_a_connect_that_is_late_is_answered() -> None:
    """Those whose connects are under way, and those that wait behind them."""
    with dropping() as full:
        async with engine(max_dials=4, connect_timeout_ns=400 * MS) as made:
            address = made.inbound(full)
            answers = await asyncio.gather(
                *(talk(address, GET, until=b"\r\n\r\n") for _ in range(30))
            )
    assert {answer.split()[1] for answer in answers} == {b"504"}


def connecting(port: int) -> int:
    """Sockets of this machine that have sent a SYN to that port and wait."""
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return sum(1 for f in fields if f[2].endswith(f":{port:04X}") and f[3] == SYN_SENT)


async def test_who_waits_for_a_removed_endpoint_is_sent_to_another() -> None:
    """While all streams are in use; what is under way there ends there."""
    started = asyncio.Event()

    async def one(link: Link, _number: int) -> None:
        link.send(settings(streams=1))
        async for got in link.frames():
            if got.kind == HEADERS:
                started.set()

    async with (
        engine(http2_max_connections=1, failfast_ns=60_000 * MS) as made,
        scripted(one) as server,
        origin(lambda _h, _b: OK) as good,
    ):
        target, address = made.outbound(server.address, h2=True)
        first = spawn(talk(address, GET, until=b"ok"), name="first")
        await started.wait()
        second = spawn(talk(address, GET, until=b"ok"), name="second")
        await eventually_async(lambda: target.endpoints_state()[0]["pending"] == 2, what="it waits")
        target.replace([EndpointSpec(Address(*good.address))])
        assert (await second).startswith(b"HTTP/1.1 200 ")
        for link in server.links:
            link.answer(1, body=b"ok")
        assert (await first).startswith(b"HTTP/1.1 200 ")


async def test_an_opaque_connection_outlives_the_endpoint_that_it_was_connecting_to() -> None:
    with dropping() as full:
        async with (
            engine(connect_timeout_ns=500 * MS) as made,
            origin(lambda _h, _b: OK) as good,
        ):
            target, address = made.outbound(full, opaque=True)
            asking = spawn(talk(address, GET, until=b"ok"), name="opaque")
            await eventually_async(
                lambda: target.endpoints_state()[0]["pending"] == 1, what="it connects"
            )
            target.replace([EndpointSpec(Address(*good.address))])
            assert (await asking).startswith(b"HTTP/1.1 200 ")
