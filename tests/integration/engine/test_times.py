"""How long exchanges may take where their route, or they themselves, say so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.exchange.retry import Retry
from linkerd2_py._ext.exchange.timeouts import Timeouts
from linkerd2_py._ext.metrics.routes import RouteMetrics
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.route.target import Target
from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.engine import Engine, engine
from tests.support.grpc_echo import echo_client, echo_server
from tests.support.origin import origin, talk
from tests.support.wait import eventually_async

MS = 1_000_000
SHORT = 50 * MS
HOUR = 3_600_000 * MS
CLOSE = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[tuple[str, int]]:
    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(whole, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Until its client goes."""
    await reader.read(-1)


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A head, and the first half of a body."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK[:-1])
    await writer.drain()
    await reader.read(-1)


def follow(made: Engine, target: Target, **said: int) -> None:
    route = RouteMetrics(made.registry, (("route_name", "r"),))
    target.routes = RouteTable(otherwise=Plan(timeouts=Timeouts(**said), route=route))


def statuses(made: Engine) -> list[str]:
    prefix = "outbound_http_route_request_statuses_total{"
    lines = [one for one in made.metrics().splitlines() if one.startswith(prefix)]
    return [one.split("http_status=")[1] for one in lines]


@pytest.mark.parametrize(
    ("limit", "says", "word"),
    [
        ("request_ns", b"request timeout: 0.05 s", "REQUEST_TIMEOUT"),
        ("response_ns", b"response timeout: 0.05 s", "RESPONSE_STREAM_TIMEOUT"),
        ("idle_ns", b"idle timeout: 0.05 s", "IDLE_TIMEOUT"),
    ],
)
async def test_a_response_that_does_not_come(limit: str, says: bytes, word: str) -> None:
    async with engine() as made, server(silent) as address:
        target, proxy = made.outbound(address)
        follow(made, target, **{limit: SHORT})
        got = await talk(proxy, CLOSE)
        assert got.startswith(b"HTTP/1.1 504 ")
        assert b"l5d-proxy-error: %s\r\n" % says in got
        assert statuses(made) == [f'"",error="{word}"}} 1']
        assert target.in_use == 0
        (state,) = target.endpoints_state()
        assert (state["failing"] > 0) is (limit != "request_ns")


@pytest.mark.parametrize(
    ("limit", "word"),
    [
        ("request_ns", "REQUEST_TIMEOUT"),
        ("response_ns", "RESPONSE_STREAM_TIMEOUT"),
        ("idle_ns", "IDLE_TIMEOUT"),
    ],
)
async def test_a_response_that_stops(limit: str, word: str) -> None:
    async with engine() as made, server(half) as address:
        target, proxy = made.outbound(address)
        follow(made, target, **{limit: SHORT})
        got = await talk(proxy, CLOSE)
        # It is cut, for nobody may take it for whole.
        assert got.startswith(b"HTTP/1.1 200 ")
        assert got.endswith(b"\r\no")
        assert statuses(made) == [f'"200",error="{word}"}} 1']
        assert target.in_use == 0


@pytest.mark.parametrize("before", [HOUR, SHORT])
async def test_an_exchange_is_timed_by_a_timer_that_another_has_left(before: int) -> None:
    """Later than it is due, or earlier: then it goes off for nobody first."""
    limit = 3 * SHORT
    asked = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            await silent(reader, writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()

    async with engine() as made, server(once) as address:
        target, proxy = made.outbound(address)
        follow(made, target, request_ns=before)
        assert (await talk(proxy, CLOSE)).startswith(b"HTTP/1.1 200 ")
        assert made.loop.stats()["timers"] > 0
        follow(made, target, request_ns=limit)
        began = asyncio.get_running_loop().time()
        got = await talk(proxy, CLOSE)
        assert b"l5d-proxy-error: request timeout: 0.15 s\r\n" in got
        assert asyncio.get_running_loop().time() - began >= limit / 1e9


async def test_times_that_are_kept_change_nothing() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as there:
        target, proxy = made.outbound(there.address)
        follow(made, target, request_ns=HOUR, response_ns=HOUR, idle_ns=HOUR)
        reader, writer = await asyncio.open_connection(*proxy)
        for _ in range(50):
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        writer.close()
        assert statuses(made) == ['"200",error=""} 50']


async def test_a_response_is_timed_from_the_end_of_its_request() -> None:
    async def after_a_while(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"abcd")
        await asyncio.sleep(0.2)
        writer.write(OK)
        await writer.drain()

    async with engine() as made, server(after_a_while) as address:
        target, proxy = made.outbound(address)
        follow(made, target, response_ns=2000 * MS)
        reader, writer = await asyncio.open_connection(*proxy)
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
        # Longer than a response may take.
        await asyncio.sleep(2.2)
        writer.write(b"cd")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_what_moves_is_not_idle() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n")
        for _ in range(8):
            await asyncio.sleep(0.1)
            writer.write(b"x")
            await writer.drain()

    async with engine() as made, server(slowly) as address:
        target, proxy = made.outbound(address)
        follow(made, target, idle_ns=600 * MS)
        assert (await talk(proxy, CLOSE)).endswith(b"xxxxxxxx")


async def test_who_waits_for_an_endpoint_is_timed_too() -> None:
    async with engine(failfast_ns=HOUR) as made:
        target, proxy = made.outbound()
        follow(made, target, request_ns=SHORT)
        got = await talk(proxy, CLOSE)
        assert got.startswith(b"HTTP/1.1 504 ")
        assert b"request timeout" in got
        assert target.in_use == 0


async def test_all_tries_and_their_pauses_are_one_request() -> None:
    bad = b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"
    async with engine() as made, origin(lambda _head, _body: bad) as there:
        target, proxy = made.outbound(there.address)
        retry = Retry(statuses=((500, 599),), limit=100, pause_ns=10 * MS, longest_pause_ns=10 * MS)
        plan = Plan(timeouts=Timeouts(request_ns=200 * MS), retry=retry)
        target.routes = RouteTable(otherwise=plan)
        got = await talk(proxy, CLOSE)
        assert got.startswith(b"HTTP/1.1 504 ")
        assert b"request timeout: 0.2 s, tried %d times" % len(there.heads) in got
        assert len(there.heads) > 1


async def test_another_try_that_waits_for_an_endpoint_is_timed_too() -> None:
    """Its pause is over, and there is nobody to send it to any more."""
    answered = asyncio.Event()

    def bad(_head: bytes, _body: bytes) -> bytes:
        answered.set()
        return b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"

    async with engine(failfast_ns=HOUR) as made, origin(bad) as there:
        target, proxy = made.outbound(there.address)
        retry = Retry(statuses=((503, 503),), pause_ns=200 * MS, longest_pause_ns=200 * MS)
        plan = Plan(timeouts=Timeouts(request_ns=1000 * MS), retry=retry)
        target.routes = RouteTable(otherwise=plan)
        asking = spawn(talk(proxy, CLOSE), name="asking")
        try:
            await asyncio.wait_for(answered.wait(), 20)
            await eventually_async(lambda: _is(lambda: 'status_code="503"' in made.metrics()))
            target.replace([])
            got = await asyncio.wait_for(asking, 20)
        finally:
            await cancel_all([asking])
        assert b"request timeout: 1 s, tried 2 times" in got


@pytest.mark.parametrize("limit", ["request_ns", "response_ns", "idle_ns"])
async def test_grpc_learns_that_its_deadline_has_passed(limit: str) -> None:
    async with engine() as made, echo_server() as there:
        target, proxy = made.outbound(there.address, h2=True)
        follow(made, target, **{limit: SHORT})
        async with echo_client(proxy) as client:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.unary(b"x", metadata=(("x-hold", "1"),))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "timeout: 0.05 s" in (caught.value.details() or "")
        # The server learns at once that nobody waits any more.
        await asyncio.wait_for(there.seen.cancelled.wait(), 20)


@pytest.mark.parametrize("name", [b"l5d-timeout", b"L5d-Request-Timeout", b"l5d-response-timeout"])
async def test_a_request_may_say_how_long_it_may_take(name: bytes) -> None:
    async with engine() as made, server(silent) as address:
        target, proxy = made.outbound(address)
        target.routes = RouteTable(otherwise=Plan(heeds_headers=True))
        got = await talk(proxy, CLOSE.replace(b"\r\n\r\n", b"\r\n%s: 50ms\r\n\r\n" % name))
        assert got.startswith(b"HTTP/1.1 504 ")


@pytest.mark.parametrize("heeds", [False, True])
async def test_a_request_may_say_when_it_is_sent_again(*, heeds: bool) -> None:
    """Where its route lets it, and then the server is not told."""
    left = [b"HTTP/1.1 503 X\r\ncontent-length: 2\r\n\r\nno"] * 2 + [OK]
    async with engine() as made, origin(lambda _head, _body: left.pop(0)) as there:
        target, proxy = made.outbound(there.address)
        plan = Plan(heeds_headers=heeds, timeouts=Timeouts(request_ns=HOUR))
        target.routes = RouteTable(otherwise=plan)
        said = b"\r\nl5d-retry-http: 501-503, gateway-error\r\nl5d-retry-limit: 2\r\n\r\n"
        got = await talk(proxy, CLOSE.replace(b"\r\n\r\n", said))
        assert got.startswith(b"HTTP/1.1 200 " if heeds else b"HTTP/1.1 503 ")
        assert len(there.heads) == (3 if heeds else 1)
        assert all((b"l5d-retry" not in head) is heeds for head in there.heads)


async def test_a_client_that_goes_leaves_no_timer_behind() -> None:
    async with engine() as made, server(silent) as address:
        target, proxy = made.outbound(address)
        follow(made, target, request_ns=HOUR, idle_ns=HOUR)
        _reader, writer = await asyncio.open_connection(*proxy)
        writer.write(CLOSE)
        await eventually_async(lambda: _is(lambda: target.in_use == 1))
        writer.transport.abort()
        await eventually_async(lambda: _is(lambda: target.in_use == 0))


async def _is(truth: Callable[[], bool]) -> bool:
    return truth()
