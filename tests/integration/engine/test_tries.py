"""Requests that are sent again because their route says so: when, how often, with what, and when never."""

import asyncio
from collections.abc import Callable, Iterator

import grpc
import grpc.aio
import pytest

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.exchange.plan import Plan, Refusal
from linkerd2_py._ext.exchange.retry import Budget, Retry
from linkerd2_py._ext.exchange.ways import Split, Way
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.metrics.routes import RetryMetrics
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target import Target
from tests.support.engine import Engine, engine
from tests.support.origin import Answer, origin, talk
from tests.support.wait import eventually_async, patience

FAILED = ((500, 599),)
CLOSE = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
LABELS = (("route_name", "r"),)
MS = 1_000_000


def response(status: int, text: bytes = b"said") -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%s" % (status, len(text), text)


def one_by_one(*statuses: int) -> Answer:
    """These, and the last one from then on."""
    left = list(statuses)
    return lambda _head, body: response(left.pop(0) if len(left) > 1 else left[0], body or b"said")


def counted(made: Engine) -> dict[str, int]:
    """What became of tries after the first."""
    prefix = "outbound_http_route_retry_"
    lines = [one for one in made.metrics().splitlines() if one.startswith(prefix)]
    pairs = (one.split("{")[0].removeprefix(prefix) + " " + one.split()[-1] for one in lines)
    found = (pair.split() for pair in pairs)
    return {name.removesuffix("_total"): int(count) for name, count in found if count != "0"}


def again(made: Engine, **said: object) -> Retry:
    metrics = RetryMetrics(made.registry, LABELS)
    return Retry(**{"statuses": FAILED, "metrics": metrics, **said})  # type: ignore[arg-type]


def follow(target: Target, retry: Retry, *ways: Way) -> None:
    split = Split(ways) if ways else None
    target.routes = RouteTable(otherwise=Plan(retry=retry, ways=split))


def way_to(target: Target, *endpoints: tuple[str, int], key: bytes) -> Target:
    way = target.sibling(key)
    way.configure(logical=key)
    way.replace([EndpointSpec(Address(*endpoint)) for endpoint in endpoints])
    return way


async def test_another_try_may_better_an_answer() -> None:
    async with engine() as made, origin(one_by_one(503, 502, 200)) as server:
        target, address = made.outbound(server.address)
        follow(target, again(made, limit=3))
        got = await talk(address, CLOSE)
        assert got.startswith(b"HTTP/1.1 200 ")
        assert got.endswith(b"said")
        assert len(server.heads) == 3
        assert len(set(server.heads)) == 1
        assert counted(made) == {"requests": 2, "successes": 1}
        assert target.in_use == 0
        totals = [one for one in made.metrics().splitlines() if one.startswith("response_total{")]
        assert sorted(one.split('status_code="')[1][:3] for one in totals) == ["200", "502", "503"]


async def test_the_last_answer_is_the_client_s() -> None:
    async with engine() as made, origin(one_by_one(503)) as server:
        target, address = made.outbound(server.address)
        follow(target, again(made, limit=2))
        got = await talk(address, CLOSE)
        assert got.startswith(b"HTTP/1.1 503 ")
        assert got.endswith(b"said")
        assert b"l5d-proxy-error" not in got
        assert len(server.heads) == 3
        assert counted(made) == {"requests": 2, "limit_exceeded": 1}


@pytest.mark.parametrize("status", [200, 404, 500, 505])
async def test_other_answers_are_the_client_s_at_once(status: int) -> None:
    async with engine() as made, origin(one_by_one(status)) as server:
        target, address = made.outbound(server.address)
        follow(target, again(made, statuses=((501, 504),)))
        assert (await talk(address, CLOSE)).startswith(b"HTTP/1.1 %d " % status)
        assert len(server.heads) == 1
        assert counted(made) == {}


@pytest.mark.parametrize("size", [0, 10, 65_536])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_is_sent_again_whole(size: int, *, chunked: bool) -> None:
    body = bytes(i % 251 for i in range(size))
    async with engine() as made, origin(one_by_one(503, 503, 200)) as server:
        target, address = made.outbound(server.address)
        follow(target, again(made, limit=2))
        got = await talk(address, post(body, chunked=chunked))
        assert got.startswith(b"HTTP/1.1 200 ")
        assert got.endswith(body or b"said")
        assert len(server.heads) == 3


@pytest.mark.parametrize(("size", "most"), [(65_537, 1 << 20), (200_000, 1 << 20), (11, 10)])
async def test_what_is_too_large_is_sent_once(size: int, most: int) -> None:
    async with engine() as made, origin(one_by_one(503, 200)) as server:
        target, address = made.outbound(server.address)
        follow(target, again(made, most_bytes=most))
        got = await talk(address, post(bytes(size), chunked=False))
        assert got.startswith(b"HTTP/1.1 503 ")
        assert len(server.heads) == 1


def post(body: bytes, *, chunked: bool) -> bytes:
    head = b"POST /p HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
    if not chunked:
        return head + b"content-length: %d\r\n\r\n%s" % (len(body), body)
    pieces = [body[at : at + 9000] for at in range(0, len(body), 9000)]
    sent = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces)
    return head + b"transfer-encoding: chunked\r\n\r\n" + sent + b"0\r\n\r\n"


async def test_an_answer_before_the_request_has_come_whole_is_the_client_s() -> None:
    heads: list[bytes] = []

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(response(503))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(early, "127.0.0.1", 0)
    async with server, engine() as made:
        target, address = made.outbound(server.sockets[0].getsockname())
        follow(target, again(made))
        head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab"
        assert (await talk(address, head, until=b"said")).startswith(b"HTTP/1.1 503 ")
        assert len(heads) == 1


async def test_an_upgrade_is_asked_for_once() -> None:
    upgrade = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    async with engine() as made, origin(one_by_one(503, 200)) as server:
        target, address = made.outbound(server.address)
        follow(target, again(made))
        assert (await talk(address, upgrade, until=b"said")).startswith(b"HTTP/1.1 503 ")
        assert len(server.heads) == 1


async def test_each_try_takes_a_way_anew_and_what_another_changed_is_taken_back() -> None:
    async with (
        engine() as made,
        origin(one_by_one(503)) as bad,
        origin(one_by_one(200)) as good,
    ):
        target, address = made.outbound(bad.address)
        first = way_to(target, bad.address, key=b"v1.test:80")
        second = way_to(target, good.address, key=b"v2.test:80")
        changed = Edits(add=[(b"x-way", b"v1")], set=[(b"x-set", b"v1")], remove=[b"x-gone"])
        other = Edits(set=[(b"x-set", b"v2")])
        follow(
            target,
            again(made, limit=200),
            Way(first, weight=3, request_edits=changed),
            Way(second, request_edits=other),
        )
        asked = CLOSE.replace(b"host: a\r\n", b"host: a\r\nx-gone: no\r\nx-set: own\r\n")
        for _ in range(20):
            assert (await talk(address, asked)).startswith(b"HTTP/1.1 200 ")
        assert len(good.heads) == 20
        assert len(bad.heads) > 5
        for head in bad.heads:
            assert fields(head) == [b"x-set: v1", b"x-way: v1"]
        for head in good.heads:
            assert fields(head) == [b"x-gone: no", b"x-set: v2"]
        assert (target.in_use, first.in_use, second.in_use) == (0, 0, 0)
        first.close()
        second.close()


def fields(head: bytes) -> list[bytes]:
    return sorted(line for line in head.split(b"\r\n") if line.startswith(b"x-"))


async def test_what_a_route_injects_is_drawn_again() -> None:
    async with engine() as made, origin(one_by_one(200)) as server:
        target, address = made.outbound(server.address)
        refusal = Refusal(503, "unlucky", share=1, of=2)
        plan = Plan(refusal=refusal, retry=again(made, limit=200))
        target.routes = RouteTable(otherwise=plan)
        for _ in range(30):
            assert (await talk(address, CLOSE)).startswith(b"HTTP/1.1 200 ")
        assert len(server.heads) == 30
        assert counted(made)["requests"] > 0


async def test_pauses_grow() -> None:
    async with engine() as made, origin(one_by_one(503, 503, 503, 200)) as server:
        target, address = made.outbound(server.address)
        follow(target, again(made, limit=3, pause_ns=40 * MS, longest_pause_ns=80 * MS))
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await talk(address, CLOSE)).startswith(b"HTTP/1.1 200 ")
        # Timers are never early: 40, 80 and 80 ms.
        assert loop.time() - began >= 0.2
        assert len(server.heads) == 4


async def test_a_client_that_goes_in_a_pause_leaves_nothing_behind() -> None:
    async with engine() as made, origin(one_by_one(503)) as server:
        target, address = made.outbound(server.address)
        follow(target, again(made, pause_ns=3600_000 * MS, longest_pause_ns=3600_000 * MS))
        _reader, writer = await asyncio.open_connection(*address)
        writer.write(CLOSE)
        await eventually_async(lambda: _is(lambda: len(server.heads) == 1 and target.in_use == 1))
        await eventually_async(lambda: _is(lambda: 'status_code="503"' in made.metrics()))
        writer.transport.abort()
        await eventually_async(lambda: _is(lambda: target.in_use == 0))
        assert len(server.heads) == 1


async def test_a_server_that_says_nothing_is_given_up_for_another_try() -> None:
    """Not in the last one: that may take what is left."""
    asked = 0

    async def slow_at_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        if asked > 1:
            await asyncio.sleep(0.2)
            writer.write(response(200))
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(slow_at_first, "127.0.0.1", 0)
    async with server, engine() as made:
        target, address = made.outbound(server.sockets[0].getsockname())
        follow(target, again(made, statuses=(), timeout_ns=50 * MS))
        assert (await talk(address, CLOSE)).startswith(b"HTTP/1.1 200 ")
        assert asked == 2
        assert counted(made) == {"requests": 1, "successes": 1}


@pytest.mark.parametrize("methods", [b"GET", b"POST"])
async def test_a_server_that_dies_is_an_answer_as_the_proxy_tells_it(methods: bytes) -> None:
    left = [b"", b"", response(200)]
    async with engine() as made, origin(lambda _head, _body: left.pop(0)) as server:
        target, address = made.outbound(server.address)
        follow(target, again(made, statuses=((502, 502),), limit=3))
        assert (await talk(address, methods + CLOSE[3:])).startswith(b"HTTP/1.1 200 ")
        assert len(server.heads) == 3


async def test_where_no_way_leads_anywhere_there_is_no_other_try() -> None:
    async with engine() as made:
        target, address = made.outbound()
        way = target.sibling(b"gone.test:80")
        way.configure()
        follow(target, again(made, limit=5), Way(way))
        got = await talk(address, CLOSE)
        assert got.startswith(b"HTTP/1.1 504 ")
        assert counted(made) == {"overflow": 1}
        way.close()


async def test_what_is_shed_comes_only_once() -> None:
    async with engine(max_in_flight=0) as made, origin(one_by_one(200)) as server:
        target, address = made.outbound(server.address)
        follow(target, again(made, limit=5))
        assert (await talk(address, CLOSE)).startswith(b"HTTP/1.1 503 ")
        assert counted(made) == {}


@pytest.mark.parametrize(
    ("ratio", "least", "most"), [(0.2, 0, 20), (0.0, 3, 30), (2.0, 0, 200), (0.0, 0, 0)]
)
async def test_a_budget_holds_in_a_storm(ratio: float, least: int, most: int) -> None:
    """Every other request fails, however often it is sent: what is sent again is no more than what the others
    have earned.
    """

    def answer(head: bytes, _body: bytes) -> bytes:
        return response(503 if head.startswith(b"GET /bad") else 200)

    async with engine() as made, origin(answer) as server:
        target, address = made.outbound(server.address)
        budget = Budget(ratio=ratio, least=least, ttl_ns=10_000 * MS)
        follow(target, again(made, limit=65_535, budget=budget))
        reader, writer = await asyncio.open_connection(*address)
        for number in range(200):
            path = b"/bad" if number % 2 else b"/good"
            writer.write(b"GET %s HTTP/1.1\r\nhost: a\r\n\r\n" % path)
            await reader.readuntil(b"said")
        writer.close()
        sent_again = len(server.heads) - 200
        # On a slow machine what is free each second comes again after ten.
        assert (sent_again > 0) is (most > 0)
        assert sent_again <= most * patience()
        assert counted(made).get("requests", 0) == sent_again
        assert counted(made)["overflow"] == 100


class Failing(grpc.GenericRpcHandler):
    """Fails with these codes, one a call; then it echoes. `early`: a response's head goes out before it is
    known how it ends.
    """

    def __init__(self, codes: Iterator[grpc.StatusCode], *, early: bool) -> None:
        self._codes = codes
        self._early = early
        self.calls = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Whatever is called."""
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, call: grpc.aio.ServicerContext) -> bytes:
        self.calls += 1
        if self._early:
            await call.send_initial_metadata((("x-early", "1"),))
        code = next(self._codes, None)
        if code is not None:
            await call.abort(code, "not now")
        return request


async def call_grpc(address: tuple[str, int], body: bytes) -> bytes:
    async with grpc.aio.insecure_channel(f"{address[0]}:{address[1]}") as channel:
        answer: bytes = await channel.unary_unary("/a.B/C")(body, timeout=20 * patience())
        return answer


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(
    ("codes", "calls", "ends"),
    [
        (("UNAVAILABLE", "RESOURCE_EXHAUSTED"), 3, "OK"),
        (("UNAVAILABLE",) * 5, 4, "UNAVAILABLE"),
        (("NOT_FOUND",), 1, "NOT_FOUND"),
        ((), 1, "OK"),
    ],
)
async def test_grpc_is_tried_again_by_its_code(
    codes: tuple[str, ...], calls: int, ends: str, *, early: bool
) -> None:
    handler = Failing(iter([grpc.StatusCode[code] for code in codes]), early=early)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with engine() as made:
            target, address = made.outbound(("127.0.0.1", port), h2=True)
            follow(target, again(made, statuses=(), codes=(8, 14), limit=3))
            ended = "OK"
            try:
                assert await call_grpc(address, b"hello") == b"hello"
            except grpc.aio.AioRpcError as error:
                ended = error.code().name
            assert (handler.calls, ended) == (calls, ends)
            assert target.in_use == 0
    finally:
        await server.stop(None)


async def _is(truth: Callable[[], bool]) -> bool:
    return truth()
