"""What an endpoint says that it did not process is sent elsewhere, whatever the method, with the client held
meanwhile; what may have been processed is not.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.tls.identity import ServerIdentity
from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.engine import engine
from tests.support.http2_script import (
    DATA,
    END_STREAM,
    HEADERS,
    HTTP_1_1_REQUIRED,
    REFUSED_STREAM,
    Link,
    ask,
    goaway,
    request,
    reset,
    scripted,
    settings,
)
from tests.support.origin import origin, talk
from tests.support.wait import eventually_async
from tests.support.ways import mesh
from tests.support.workloads import identity_of, name_of

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GRPC = ("content-type", "application/grpc")
HELLO = b"\0\0\0\0\5hello"
LARGE = bytes(i % 251 for i in range(4 << 20))


async def serve_all(link: Link) -> None:
    """Answers every request with its body's size, once it is whole."""
    sizes: dict[int, int] = {}
    async for got in link.frames():
        if got.kind in (HEADERS, DATA):
            sizes[got.stream] = sizes.get(got.stream, 0) + (
                len(got.payload) if got.kind == DATA else 0
            )
            if got.flags & END_STREAM:
                link.answer(got.stream, body=b"%d" % sizes[got.stream])


async def say_settings_and_serve(link: Link, _number: int) -> None:
    link.send(settings())
    await serve_all(link)


def on_first_body(say: Callable[[Link, int], None]) -> Callable[[Link, int], Awaitable[None]]:
    """The first connection says that of its first stream when a body has begun and goes on; later ones
    answer.
    """

    async def script(link: Link, number: int) -> None:
        link.send(settings())
        if number == 1:
            async for got in link.frames():
                if got.kind == DATA:
                    say(link, got.stream)
                    break
        await serve_all(link)

    return script


UNPROCESSED: dict[str, Callable[[Link, int], None]] = {
    "refused": lambda link, stream: link.send(reset(stream, REFUSED_STREAM)),
    "goaway": lambda link, _stream: link.send(goaway(0)),
    "refused and goaway": lambda link, stream: link.send(reset(stream, REFUSED_STREAM), goaway(0)),
}


@pytest.mark.parametrize("name", UNPROCESSED)
async def test_a_body_that_was_sent_is_sent_again(name: str) -> None:
    async with engine() as made, scripted(on_first_body(UNPROCESSED[name])) as server:
        _target, address = made.outbound(server.address)
        (plain,) = await ask(address, (request(), b"x" * 1000))
        assert (plain.status, plain.body) == ("200", b"1000"), plain
    async with engine() as made, scripted(on_first_body(UNPROCESSED[name])) as server:
        _target, address = made.outbound(server.address)
        (call,) = await ask(address, (request(GRPC), HELLO))
        assert (call.status, call.body) == ("200", b"10"), call


async def test_the_client_is_held_meanwhile() -> None:
    """An upload is refused by the only endpoint, and the next one is ready later: nothing is lost, and no
    more than a window is kept.
    """
    refused = asyncio.Event()

    async def refuse(link: Link, _number: int) -> None:
        link.send(settings())
        async for got in link.frames():
            if got.kind == HEADERS:
                link.send(reset(got.stream, REFUSED_STREAM), goaway(0))
                refused.set()
                return

    async with engine(failfast_ns=20_000_000_000) as made, scripted(say_settings_and_serve) as good:
        async with scripted(refuse) as bad:
            target, address = made.outbound(bad.address, h2=True)
            head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(LARGE)
            asking = spawn(talk(address, head + LARGE, until=b"%d" % len(LARGE)), name="upload")
            await refused.wait()
        target.replace([EndpointSpec(Address(*good.address), h2=True)])
        assert (await asking).startswith(b"HTTP/1.1 200 "), await asking


async def test_http_1_1_required_is_obeyed_and_remembered() -> None:
    """By an HTTP/2 server that wants HTTP/1 for a request, which it says in the middle of its body."""
    seen: list[bytes] = []

    async def either(link: Link, _number: int) -> None:
        first = await link.reader.readexactly(3)
        if first != b"PRI":
            head = first + await link.reader.readuntil(b"\r\n\r\n")
            seen.append(head)
            await link.reader.readuntil(b"0\r\n\r\n")
            link.send(OK)
            return
        await link.reader.readexactly(21)
        link.send(settings())
        async for got in link.frames():
            if got.kind == DATA:
                link.send(reset(got.stream, HTTP_1_1_REQUIRED))

    async with engine() as made, scripted(either, preface=False) as server:
        _target, address = made.outbound(server.address)
        for _ in range(2):
            (outcome,) = await ask(address, (request(), b"x" * 10))
            assert (outcome.status, outcome.body) == ("200", b"ok"), outcome
        assert [head[:4] for head in seen] == [b"POST"] * 2
        assert server.connections == 3


def speaks_http1_only(seen: list[bytes]) -> Callable[[Link, int], Awaitable[None]]:
    async def script(link: Link, _number: int) -> None:
        head = await link.reader.readuntil(b"\r\n\r\n")
        seen.append(head.split(b"\r\n")[0])
        if head.startswith(b"PRI "):
            link.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        count = 0
        while size := int(await link.reader.readline(), 16):
            count += (await link.reader.readexactly(size + 2)).count(b"x")
        await link.reader.readline()
        link.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n%d x" % count)

    return script


@pytest.mark.parametrize("size", [5, 60_000])
async def test_a_workload_that_speaks_http1_only_is_served_from_the_first_post(size: int) -> None:
    seen: list[bytes] = []
    async with engine() as made, scripted(speaks_http1_only(seen), preface=False) as server:
        address = made.inbound(server.address)
        for _ in range(2):
            (outcome,) = await ask(address, (request(), b"x" * size))
            assert (outcome.status, outcome.body) == ("200", b"%d x" % size), outcome
        assert seen == [b"PRI * HTTP/2.0", *[b"POST /x HTTP/1.1"] * 2]


async def test_a_large_body_is_held_until_the_peer_has_shown_what_it_speaks() -> None:
    """More of it than is kept for a known peer: the first connection takes what it is given, and says then
    that it speaks no HTTP/2.
    """
    seen: list[bytes] = []
    whole = speaks_http1_only(seen)

    async def late(link: Link, number: int) -> None:
        if number == 1:
            await link.reader.readexactly(65_000)
            link.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        await whole(link, number)

    head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    async with engine() as made, scripted(late, preface=False) as server:
        _target, address = made.outbound(server.address, h2=True)
        got = await talk(address, head + chunk * 16 + b"0\r\n\r\n", until=b"1048576 x")
        assert got.startswith(b"HTTP/1.1 200 "), got
        assert seen == [b"POST /x HTTP/1.1"]


async def test_grpc_to_a_workload_that_speaks_http1_only_is_unavailable() -> None:
    async with engine() as made, scripted(speaks_http1_only([]), preface=False) as server:
        (call,) = await ask(made.inbound(server.address), (request(GRPC), HELLO))
        assert call.fields.get("grpc-status") == "14", call


async def test_half_a_settings_frame_is_no_refusal() -> None:
    """The connection broke, nobody knows what was processed: a POST is not sent again."""

    async def half(link: Link, _number: int) -> None:
        await link.reader.readexactly(9)
        link.send(settings(streams=5)[:7])

    async with engine() as made, scripted(half) as server:
        _target, address = made.outbound(server.address)
        (outcome,) = await ask(address, (request(), b"x"))
        assert outcome.status == "502", outcome
        assert server.connections <= 2


async def test_a_response_counts_where_it_came_from() -> None:
    """Not at the endpoint that refused the request before."""

    async def refuse(link: Link, _number: int) -> None:
        link.send(settings())
        async for got in link.frames():
            if got.kind == HEADERS:
                link.send(reset(got.stream, REFUSED_STREAM))

    def counted(metrics: str, name: str, port: int) -> int:
        lines = [line for line in metrics.splitlines() if line.startswith(name + "{")]
        return sum(int(line.split()[-1]) for line in lines if f'target_port="{port}"' in line)

    async with engine() as made, scripted(refuse) as bad, scripted(say_settings_and_serve) as good:
        target, address = made.outbound(bad.address, good.address, h2=True)
        await eventually_async(
            lambda: all(one["ready"] for one in target.endpoints_state()), what="both are ready"
        )
        asked, refused = 0, 0
        while not refused and asked < 100:
            (outcome,) = await ask(address, (request(method="GET"), b""))
            asked += outcome.status == "200"
            refused = counted(made.metrics(), "request_total", bad.address[1])
        metrics = made.metrics()
        assert refused
        assert counted(metrics, "response_total", bad.address[1]) == 0
        assert counted(metrics, "request_total", good.address[1]) == asked
        assert counted(metrics, "response_total", good.address[1]) == asked


async def test_what_is_always_refused_ends_with_the_right_error() -> None:
    async def refuse(link: Link, _number: int) -> None:
        link.send(settings())
        async for got in link.frames():
            if got.kind == HEADERS:
                link.send(reset(got.stream, REFUSED_STREAM))

    async with engine() as made, scripted(refuse) as server:
        _target, address = made.outbound(server.address, h2=True)
        plain, call = await ask(address, (request(), b"x"), (request(GRPC), HELLO))
        assert plain.reset == REFUSED_STREAM, plain
        assert call.fields.get("grpc-status") == "14", call
        got = await talk(
            address, b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", until=b"\r\n\r\n"
        )
        assert got.startswith(b"HTTP/1.1 503 "), got
        assert b"the endpoint refused the request" in got


async def test_a_body_of_which_too_much_was_sent_is_not_sent_again() -> None:
    async def refuse_late(link: Link, _number: int) -> None:
        link.send(settings(window=1 << 20))
        size = 0
        async for got in link.frames():
            size += len(got.payload) if got.kind == DATA else 0
            if size > 200_000:
                link.send(reset(got.stream, REFUSED_STREAM))
                size = -(1 << 30)

    async with engine() as made, scripted(refuse_late) as server:
        _target, address = made.outbound(server.address, h2=True)
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(LARGE)
        got = await talk(address, head + LARGE, until=b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 503 "), got
        assert server.connections <= 2


# ---- kept connections that had ended


@pytest.mark.parametrize(
    ("method", "expected"), [(b"GET", b"200"), (b"PUT", b"200"), (b"POST", b"502")]
)
async def test_a_repeat_goes_over_a_new_connection(method: bytes, expected: bytes) -> None:
    """Every kept connection ends under its second request. What may be repeated is, over one that is new."""
    kept = 4
    waiting = asyncio.Barrier(kept)

    async def once(link: Link, _number: int) -> None:
        head = await link.reader.readuntil(b"\r\n\r\n")
        if b"Content-Length: 3" in head:
            await link.reader.readexactly(3)
        if head.startswith(b"GET /first"):
            await waiting.wait()
        link.send(OK)
        await link.reader.readexactly(1)
        # With the rest unread this is a reset.
        link.writer.transport.abort()

    async with engine() as made, scripted(once, preface=False) as server:
        address = made.inbound(server.address)
        first = b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
        await asyncio.gather(*(talk(address, first, until=b"ok") for _ in range(kept)))
        body = b"" if method == b"GET" else b"abc"
        again = method + b" /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        got = await talk(address, again + body, until=b"\r\n\r\n")
        assert got.split()[1] == expected, got


async def test_many_that_one_connection_lost_share_what_is_made_for_them() -> None:
    """The only HTTP/2 connection ends under all of them: as many connects as calls would be a storm."""
    calls = 90

    async def end_under_them(link: Link, number: int) -> None:
        link.send(settings(streams=1000))
        heads = 0
        async for got in link.frames():
            heads += got.kind == HEADERS
            if number == 1 and heads == 1 + calls:
                link.writer.transport.abort()
            elif got.kind == HEADERS and (number > 1 or heads == 1):
                link.answer(got.stream, body=b"ok")

    get = (request(method="GET"), b"")
    async with engine() as made, scripted(end_under_them) as server:
        _target, address = made.outbound(server.address, h2=True)
        await ask(address, get)
        outcomes = await ask(address, *[get] * calls)
        assert {(one.status, one.body) for one in outcomes} == {("200", b"ok")}
        assert server.connections == 2


async def pass_on(link: Link, target: tuple[str, int], is_cut: asyncio.Event) -> None:
    """Relays both ways; once it is cut, the next byte from the client ends it."""
    there = Link(*await asyncio.open_connection(*target))

    async def carry(here: Link, to: Link) -> None:
        with suppress(ConnectionError):
            while (piece := await here.reader.read(65_536)) and not is_cut.is_set():
                to.send(piece)
        to.writer.transport.abort()
        here.writer.transport.abort()

    try:
        await asyncio.gather(carry(link, there), carry(there, link))
    finally:
        await there.close()


@pytest.mark.parametrize("fails", [False, True])
async def test_nobody_waits_for_a_connect_that_is_another_ones_own(fails: bool) -> None:
    """A repeat's connect is under way when another request comes, which is served though the repeat takes
    long, or gets no connection.
    """
    stale, released, never = asyncio.Event(), asyncio.Event(), asyncio.Event()
    inner: list[tuple[str, int]] = []

    async def serve(link: Link, _number: int) -> None:
        while head := await link.reader.readuntil(b"\r\n\r\n"):
            if head.startswith(b"GET /long"):
                await never.wait()
            link.send(OK)

    async def relay(link: Link, number: int) -> None:
        if number == 2:
            await released.wait()
            if fails:
                return
        await pass_on(link, inner[0], stale if number == 1 else asyncio.Event())

    async with (
        engine(connect_timeout_ns=60_000_000_000, failfast_ns=10_000_000_000) as made,
        scripted(serve, preface=False) as server,
        scripted(relay, preface=False) as wire,
    ):
        inner.append(made.inbound(server.address, identity=identity_of(mesh(), "voting")))
        target, address = made.outbound(identity=identity_of(mesh(), "web"))
        peer = ServerIdentity(name_of("voting"))
        target.forward(EndpointSpec(Address(*wire.address), peer=peer))
        await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", until=b"ok")
        stale.set()
        repeat = spawn(talk(address, b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n"), name="repeat")
        await eventually_async(lambda: wire.connections == 2, what="the repeat's own connect")
        other = spawn(
            talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", until=b"\r\n\r\n"), name="other"
        )
        await eventually_async(
            lambda: target.endpoints_state()[0]["pending"] == 2, what="the other one waits"
        )
        released.set()
        assert (await other).startswith(b"HTTP/1.1 200 "), await other
        if fails:
            assert (await repeat).startswith(b"HTTP/1.1 502 "), await repeat
        await cancel_all({repeat})


async def test_removing_an_endpoint_closes_all_its_idle_connections() -> None:
    kept = 7
    waiting = asyncio.Barrier(kept)
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    async def serve(link: Link, _number: int) -> None:
        await link.reader.readuntil(b"\r\n\r\n")
        await waiting.wait()
        link.send(OK)
        await link.reader.read()

    # No connection ages within the test.
    async with (
        engine(http1_idle_ns=600_000_000_000) as made,
        scripted(serve, preface=False) as server,
        origin(lambda _h, _b: OK) as other,
    ):
        target, address = made.outbound(server.address)
        await asyncio.gather(*(talk(address, get, until=b"ok") for _ in range(kept)))
        target.replace([EndpointSpec(Address(*other.address))])
        await eventually_async(lambda: not server.links, what="all connections are closed")
