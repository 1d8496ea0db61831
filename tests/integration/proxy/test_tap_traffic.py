"""What one tap hears of traffic of every kind that passes a whole proxy, and that traffic never waits for
it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from linkerd2_py.base.tasks import spawn
from linkerd2_py.proto.gen.tap_pb2 import TapEvent
from tests.support.certified import certified
from tests.support.grpc_echo import echo_client, echo_server
from tests.support.http1_client import Http1Client
from tests.support.http2_script import (
    CANCEL,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    REFUSED_STREAM,
    Link,
    ask,
    frame,
    request,
    reset,
    scripted,
    settings,
)
from tests.support.origin import origin, talk
from tests.support.sidecar import InProcess
from tests.support.tapped import (
    asked,
    entitled,
    id_of,
    kind_of,
    observe,
    observing,
    tapped,
    watched,
)
from tests.support.wait import DEADLINE_S, eventually_async, within

DIRECTIONS = pytest.mark.parametrize("direction", ["inbound", "outbound"])
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"
GET = b"GET /path HTTP/1.1\r\nHost: web.test\r\n\r\n"
UPGRADE = (
    b"GET /socket HTTP/1.1\r\nHost: web.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
)
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
CONNECT = b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: web.test\r\n\r\n"
INTERNAL_ERROR = 2
WHOLE = ["request_init", "response_init", "response_end"]


@asynccontextmanager
async def silent(says: bytes = b"") -> AsyncIterator[tuple[str, int]]:
    """A server that says that once it is asked, and then nothing."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
        writer.write(says)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()
        for writer in writers:
            writer.close()


def end_of(events: list[TapEvent]) -> tuple[str | None, int]:
    """How the last one says that its stream ended, and with what code."""
    eos = events[-1].http.response_end.eos
    kind = eos.WhichOneof("end")
    return kind, getattr(eos, kind) if kind else 0


def counter(proxy: InProcess, name: str) -> int:
    text = b"".join(proxy.proxy.parts.registry.render()).decode()
    found = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else 0


def lost(proxy: InProcess) -> int:
    return counter(proxy, "tap_events_lost_total")


# ---- answered


async def test_a_request_to_others_is_told_of_as_outbound(tmp_path: Path) -> None:
    async with (
        origin(lambda *_: OK) as server,
        watched(tmp_path, server.address) as (proxy, watching),
    ):
        await talk(proxy.static(), GET, until=b"ok")
        await watching.until(lambda events: len(events) == 3)
        assert watching.kinds() == WHOLE
        for event in watching.events:
            assert event.proxy_direction == TapEvent.OUTBOUND
            assert event.destination.port == server.address[1]
            assert event.destination.ip.ipv4 == event.source.ip.ipv4 == 0x7F000001
            # Nobody said which identity is to answer there.
            assert event.destination_meta.labels["tls"] != "true"


@DIRECTIONS
async def test_a_call_of_grpc_is_told_with_its_status_and_trailers(
    tmp_path: Path, direction: str
) -> None:
    async with (
        echo_server() as server,
        watched(tmp_path, server.address, headers=True) as (proxy, watching),
        echo_client(proxy.static(direction=direction)) as client,
    ):
        assert await client.unary(b"x", metadata=[("x-trailer", "last")]) == b"x"
        await watching.until(lambda events: len(events) == 3)
        with pytest.raises(grpc.aio.AioRpcError):
            await client.unary(b"x", metadata=[("x-status", "NOT_FOUND"), ("x-message", "no")])
        await watching.until(lambda events: len(events) == 6)
        (good, bad) = watching.stories().values()
        for story in (good, bad):
            assert [kind_of(event) for event in story] == WHOLE
            begun = story[0].http.request_init
            assert begun.path == "/l5d.test.Echo/Unary"
            assert begun.method.registered == 1
            names = [one.name for one in begun.headers.headers]
            assert names[:4] == [":method", ":scheme", ":authority", ":path"]
            assert story[1].http.response_init.http_status == 200
        ended = good[-1].http.response_end
        assert end_of(good) == ("grpc_status_code", 0)
        assert ended.response_bytes == 6  # a message and what comes before it
        trailers = {one.name: one.value for one in ended.trailers.headers}
        assert trailers["x-trailer"] == b"last"
        assert trailers["grpc-status"] == b"0"
        assert end_of(bad) == ("grpc_status_code", grpc.StatusCode.NOT_FOUND.value[0])


async def test_a_request_that_is_sent_again_is_told_of_once(tmp_path: Path) -> None:
    async def refuse_once(link: Link, number: int) -> None:
        link.send(settings())
        async for got in link.frames():
            if got.kind == HEADERS and got.stream == number == 1:
                link.send(reset(1, REFUSED_STREAM))
            elif got.kind == HEADERS:
                link.answer(got.stream, body=b"ok")

    async with (
        scripted(refuse_once) as server,
        watched(tmp_path, server.address) as (proxy, watching),
    ):
        (outcome,) = await ask(proxy.static(), (request(method="GET"), b""))
        assert outcome.body == b"ok"
        await watching.until(lambda events: len(events) == 3)
        assert watching.kinds() == WHOLE
        assert len(watching.stories()) == 1


# ---- cut short


async def outcome_of(call: Any) -> grpc.StatusCode:
    with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
        await call
    found: grpc.StatusCode = await call.code()
    return found


@DIRECTIONS
async def test_a_stream_that_the_client_resets(tmp_path: Path, direction: str) -> None:
    async with (
        echo_server() as server,
        watched(tmp_path, server.address) as (proxy, watching),
        echo_client(proxy.static(direction=direction)) as client,
    ):
        call = client.unary(b"x", metadata=[("x-hold", "1")])
        waiting = spawn(outcome_of(call), name="calling")
        await watching.until(lambda events: len(events) == 1)
        call.cancel()
        assert await waiting == grpc.StatusCode.CANCELLED
        await watching.until(lambda events: len(events) == 2)
        assert watching.kinds() == ["request_init", "response_end"]
        assert end_of(watching.events) == ("reset_error_code", CANCEL)
        assert not watching.events[-1].http.response_end.HasField("since_response_init")


@pytest.mark.parametrize("says", [b"", HALF])
async def test_a_client_of_http1_that_goes_away(tmp_path: Path, says: bytes) -> None:
    async with (
        silent(says) as server,
        watched(tmp_path, server) as (proxy, watching),
    ):
        _reader, writer = await asyncio.open_connection(*proxy.static())
        writer.write(GET)
        await watching.until(lambda events: len(events) == (2 if says else 1))
        writer.transport.abort()
        await watching.until(lambda events: kind_of(events[-1]) == "response_end")
        assert watching.kinds() == (WHOLE if says else WHOLE[::2])
        assert end_of(watching.events) == ("reset_error_code", CANCEL)


@DIRECTIONS
async def test_a_stream_that_the_server_resets(tmp_path: Path, direction: str) -> None:
    async def begin_and_cancel(link: Link, _number: int) -> None:
        link.send(settings())
        async for got in link.frames():
            if got.kind == HEADERS:
                head = link.encoder.encode([(":status", "200")])
                link.send(frame(HEADERS, END_HEADERS, got.stream, head), reset(got.stream, CANCEL))

    async with (
        scripted(begin_and_cancel) as server,
        watched(tmp_path, server.address) as (proxy, watching),
    ):
        (outcome,) = await ask(
            proxy.static(direction=direction), (request(method="GET", path="/y"), b"")
        )
        assert outcome.reset == CANCEL
        await watching.until(lambda events: len(events) == 3)
        assert watching.kinds() == WHOLE
        assert end_of(watching.events) == ("reset_error_code", CANCEL)


async def test_a_response_that_the_server_breaks_off(tmp_path: Path) -> None:
    async with (
        origin(lambda *_: HALF, close_after=1) as server,
        watched(tmp_path, server.address) as (proxy, watching),
    ):
        await talk(proxy.static(), GET)
        await watching.until(lambda events: len(events) == 3)
        assert watching.kinds() == WHOLE
        assert end_of(watching.events) == ("reset_error_code", INTERNAL_ERROR)
        assert watching.events[-1].http.response_end.response_bytes == 4


# ---- tunnels


@DIRECTIONS
async def test_a_connection_that_is_upgraded(tmp_path: Path, direction: str) -> None:
    async with (
        silent(SWITCHING + b"hello") as server,
        watched(tmp_path, server) as (proxy, watching),
    ):
        await talk(proxy.static(direction=direction), UPGRADE, until=b"hello")
        await watching.until(lambda events: len(events) == 3)
        assert watching.kinds() == WHOLE
        assert watching.events[1].http.response_init.http_status == 101
        # What the connection becomes is the application's own.
        assert end_of(watching.events) == (None, 0)


async def test_a_tunnel_that_the_client_asks_the_proxy_for(tmp_path: Path) -> None:
    async with (
        origin(lambda *_: OK) as server,
        watched(tmp_path, server.address) as (proxy, watching),
    ):
        got = await talk(proxy.outbound, CONNECT % server.address[1] + GET, until=b"ok")
        assert got.startswith(b"HTTP/1.1 200 ")
        await watching.until(lambda events: len(events) == 6)
        (tunnel, inside) = watching.stories().values()
        assert [kind_of(event) for event in tunnel] == WHOLE
        assert tunnel[0].http.request_init.method.registered == 6
        assert end_of(tunnel) == (None, 0)
        # In the tunnel the proxy goes on reading.
        assert [kind_of(event) for event in inside] == WHOLE
        assert inside[0].http.request_init.path == "/path"


# ---- who watches


async def test_traffic_does_not_wait_for_who_does_not_read(tmp_path: Path) -> None:
    """What waits for such a watcher has a bound, and whatever it was told of has its end. What was lost is
    said with the next event.
    """
    filler = 4 * (b"x-filler: " + 3900 * b"a" + b"\r\n")
    many = b"GET / HTTP/1.1\r\nHost: a\r\n" + filler + b"\r\n"
    async with (
        certified(tmp_path) as mesh,
        origin(lambda *_: OK) as server,
        tapped(mesh, server.address) as proxy,
        entitled(proxy, mesh) as channel,
    ):
        call = observe(channel, asked(headers=True), {})
        await call.initial_metadata()
        with await asyncio.to_thread(Http1Client.connect, proxy.static()) as client:

            async def asks(times: int) -> None:
                for _ in range(times):
                    answer = await asyncio.to_thread(client.request, many)
                    assert answer.status == 200

            async with within(DEADLINE_S):
                while not lost(proxy):
                    await asks(20)
            before = lost(proxy)
            await asks(100)
            # Each had three events, and no more fit.
            assert lost(proxy) == before + 300
        # It reads, and is told of the next ones: by their numbers it knows that some were left out.
        heard = await heard_by(call, counter(proxy, "tap_events_total"))
        assert sum(event.ByteSize() for event in heard) < 1 << 20
        assert left_open(heard) == 0
        await talk(proxy.static(), GET, until=b"ok")
        (event,) = await heard_by(call, 1)
        assert id_of(event)[1] > id_of(heard[-1])[1] + 100
        # How many, it is told as well.
        assert sum(one.lost for one in (*heard, event)) == lost(proxy)
        assert event.lost >= 300
        call.cancel()


async def heard_by(call: Any, count: int) -> list[TapEvent]:
    async with within(DEADLINE_S):
        return [await call.read() for _ in range(count)]


def left_open(heard: list[TapEvent]) -> int:
    kinds = [kind_of(event) for event in heard]
    return kinds.count("request_init") - kinds.count("response_end")


@DIRECTIONS
async def test_a_tap_that_goes_while_exchanges_are_under_way(
    tmp_path: Path, direction: str
) -> None:
    go_on = asyncio.Event()

    async def answer_late(link: Link, _number: int) -> None:
        link.send(settings())
        async for got in link.frames():
            if got.kind == HEADERS and got.flags & END_STREAM:
                head = link.encoder.encode([(":status", "200")])
                link.send(frame(HEADERS, END_HEADERS, got.stream, head))
                await go_on.wait()
                link.send(frame(0, END_STREAM, got.stream, b"ok"))

    async with (
        scripted(answer_late) as server,
        certified(tmp_path) as mesh,
        tapped(mesh, server.address) as proxy,
        entitled(proxy, mesh) as channel,
    ):
        address = proxy.static(direction=direction)
        async with observing(channel, asked()) as first:
            asking = spawn(ask(address, (request(method="GET"), b"")), name="asking")
            await first.until(lambda events: len(events) == 2)
        taps = proxy.proxy.parts.taps
        assert taps is not None
        await eventually_async(lambda: taps.open == 0)
        go_on.set()
        (outcome,) = await asking
        assert outcome.body == b"ok"
        assert lost(proxy) == 0
        # Who comes later is told of what comes later.
        async with observing(channel, asked()) as second:
            await ask(address, (request(method="GET"), b""))
            await second.until(lambda events: len(events) == 3)
            assert second.kinds() == WHOLE


async def test_a_proxy_that_ends_while_exchanges_are_watched(tmp_path: Path) -> None:
    async with AsyncExitStack() as watchers, silent(HALF) as server, certified(tmp_path) as mesh:
        async with tapped(mesh, server, SHUTDOWN_GRACE_PERIOD="100ms") as proxy:
            channel = await watchers.enter_async_context(entitled(proxy, mesh))
            watching = await watchers.enter_async_context(observing(channel, asked()))
            asking = spawn(talk(proxy.static(), GET), name="asking")
            await watching.until(lambda events: len(events) == 2)
            proxy.proxy.shut_down()
            assert (await asking).endswith(b"half")
        await eventually_async(watching.call.done)
        await watchers.aclose()
