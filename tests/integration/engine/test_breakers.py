"""Endpoints that fail are left alone, tried by one request, and come back: real servers that flap, are down, hang,
or fail all at once.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import grpc
import grpc.aio
import pytest

from linkerd2_py._ext.balance.accrual import Accrual
from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.exchange.retry import Retry
from linkerd2_py._ext.exchange.timeouts import Timeouts
from linkerd2_py._ext.exchange.ways import Split, Way
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target import Target
from linkerd2_py.base.tasks import cancel_all, spawn
from tests.integration.engine.test_errors_counted import closed
from tests.integration.engine.test_failing_endpoint import METHOD, end, end_with_reset, server
from tests.support.engine import MS, Engine, engine
from tests.support.series import by
from tests.support.wait import eventually_async, in_time, patience

SECOND = 1000 * MS
HOUR = 3600 * SECOND
REQUEST = b"POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
ANSWERS = {
    200: b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    429: b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n",
    500: b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
    503: b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n",
}
RESETS = 0


@dataclass
class Replica:
    """Answers with `status` whatever it is asked; RESETS cuts the connection instead."""

    status: int = 200
    once: list[int] = field(default_factory=list)
    """What it answers before that, each once."""
    asked: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """It answers nothing before that is set."""
    address: tuple[str, int] = ("", 0)

    def __post_init__(self) -> None:
        self.released.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            self.asked += 1
            await self.released.wait()
            status = self.once.pop(0) if self.once else self.status
            if status == RESETS:
                end_with_reset(writer)
                return
            writer.write(ANSWERS[status])


@dataclass
class Rig:
    made: Engine
    target: Target
    address: tuple[str, int]
    replicas: list[Replica]
    servers: AsyncExitStack

    async def ask(self) -> int:
        """The status that one client gets."""
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            writer.write(REQUEST)
            return int((await in_time(reader.readuntil(b"\r\n\r\n"), 10)).split()[1])
        finally:
            await end(writer.close, writer)

    async def asked(self, times: int) -> list[int]:
        return [await self.ask() for _ in range(times)]

    def states(self) -> list[str | None]:
        return [one["breaker"] for one in self.target.endpoints_state()]

    def ready(self) -> list[bool]:
        return [one["ready"] for one in self.target.endpoints_state()]

    def changes(self) -> dict[str, float]:
        return by(self.made.metrics(), "outbound_http_balancer_breaker_changes_total", "to")

    def endpoints(self) -> dict[str, float]:
        return by(self.made.metrics(), "outbound_http_balancer_endpoints", "endpoint_state")

    async def at_once(self, clients: int = 8) -> None:
        await asyncio.gather(*(self.ask() for _ in range(clients)))

    async def opens(self, which: int = 1, *, clients: int = 1) -> None:
        async def so() -> bool:
            await self.at_once(clients)
            return self.states()[which] == "open"

        await eventually_async(so)


def accrual(**said: Any) -> Accrual:
    """Three failures in a row, and for ever; what a test needs otherwise it says."""
    return Accrual(
        **{"max_failures": 3, "min_backoff_ns": HOUR, "max_backoff_ns": HOUR, **said}  # type: ignore[arg-type]
    )


def soon(**said: Any) -> Accrual:
    return accrual(**{"min_backoff_ns": 20 * MS, "max_backoff_ns": 50 * MS, **said})


@asynccontextmanager
async def rig(
    *statuses: int, agreed: Accrual | None, penalizes_failures: bool = False, **settings: object
) -> AsyncIterator[Rig]:
    """A replica for each status. What the balancer has learned is forgotten at once, so that all get their
    share.
    """
    settings = {"decay_ns": MS, "penalizes_failures": penalizes_failures, **settings}
    async with engine(**settings) as made, AsyncExitStack() as stack:
        replicas = [Replica(status) for status in statuses]
        for one in replicas:
            one.address = await stack.enter_async_context(server(one.serve))
        target, address = made.outbound(*(one.address for one in replicas))
        target.guard(agreed)
        found = Rig(made, target, address, replicas, stack)
        await eventually_async(lambda: all(found.ready()), what="all are ready")
        yield found


@pytest.mark.parametrize("status", [500, 503, RESETS])
async def test_one_that_fails_is_left_alone(status: int) -> None:
    async with rig(200, status, 200, agreed=accrual()) as made:
        await made.opens()
        assert made.ready() == [True, False, True]
        assert made.endpoints() == {"ready": 2, "pending": 1}
        assert made.changes() == {"open": 1}
        before = made.replicas[1].asked
        assert before == 3
        assert await made.asked(50) == [200] * 50
        assert made.replicas[1].asked == before


@pytest.mark.parametrize(("first", "to"), [(200, "closed"), (500, "open_again")])
async def test_answers_that_another_try_bettered_count_as_they_are(first: int, to: str) -> None:
    """The probe's answer is sent again, to the same endpoint while its breaker waits for another: it would
    fail there.
    """
    async with rig(200, 500, agreed=soon(max_failures=1)) as made:
        await made.opens()
        every = Retry(statuses=((200, 599),), limit=1)
        made.replicas[1].once = [first]
        made.target.routes = RouteTable(otherwise=Plan(retry=every))

        async def heard() -> bool:
            await made.ask()
            changes = made.changes()
            return changes.get("closed", 0) + changes.get("open_again", 0) >= 1

        await eventually_async(heard)
        assert made.changes().get(to, 0) >= 1


@pytest.mark.parametrize("which", ["request_ns", "response_ns"])
async def test_one_that_lets_wait_for_longer_than_may_be_is_left_alone(which: str) -> None:
    async with rig(200, 200, agreed=accrual(max_failures=2)) as made:
        made.replicas[1].released.clear()
        limits = Timeouts(**{which: 20 * MS})
        made.target.routes = RouteTable(otherwise=Plan(timeouts=limits))
        await made.opens()
        made.target.routes = None
        assert await made.asked(10) == [200] * 10
        made.replicas[1].released.set()


async def test_without_accrual_nobody_is() -> None:
    async with rig(200, 500, agreed=None) as made:
        assert 500 in (await made.asked(50))[-20:]
        assert made.states() == [None, None]
        assert "breaker" not in made.made.metrics()


async def test_it_works_beside_the_balancers_own_judgement() -> None:
    settings = {"penalizes_failures": True, "decay_ns": 10 * SECOND}
    async with rig(200, 500, agreed=accrual(), **settings) as made:  # type: ignore[arg-type]
        await made.opens(clients=32)
        assert await made.asked(30) == [200] * 30


async def test_what_is_refused_for_its_rate_is_no_failure_but_no_success() -> None:
    async with rig(200, 429, agreed=accrual()) as made:
        assert 429 in (await made.asked(60))[-20:]
        assert made.states() == ["closed", "closed"]
        made.target.guard(accrual(threshold=8000, min_requests=5, strict=True))
        await made.opens()
        assert await made.asked(20) == [200] * 20


async def test_one_that_recovers_comes_back_and_one_that_does_not_is_tried_again() -> None:
    settings = {"penalizes_failures": True, "decay_ns": 10 * SECOND}
    async with rig(200, 500, agreed=soon(max_failures=1), **settings) as made:  # type: ignore[arg-type]
        await made.opens(clients=8)

        async def tried() -> bool:
            await made.ask()
            return made.changes().get("open_again", 0) >= 2

        await eventually_async(tried)
        made.replicas[1].status = 200

        async def back() -> bool:
            await made.ask()
            return made.states()[1] == "closed"

        await eventually_async(back)
        before = made.replicas[1].asked
        for _ in range(10):
            await made.at_once()
        # What it was blamed for before counts no more.
        assert made.replicas[1].asked >= before + 10
        assert made.ready() == [True, True]
        assert made.endpoints() == {"ready": 2}


async def test_exactly_one_request_tries_it() -> None:
    agreed = accrual(min_backoff_ns=200 * MS, max_backoff_ns=HOUR)
    async with rig(200, 500, agreed=agreed) as made:
        await made.opens()
        held = made.replicas[1]
        held.released.clear()
        before = held.asked
        await eventually_async(lambda: made.states()[1] == "probation", what="its time is over")
        asking = [spawn(made.ask(), name="asking") for _ in range(40)]
        try:
            await eventually_async(lambda: sum(one.done() for one in asking) >= 30)
            await eventually_async(lambda: held.asked > before, what="it is tried")
            # Another one only when the first had said nothing for as long as it was left alone.
            assert held.asked - before <= 1 + made.changes().get("open_again", 0)
            held.status = 200
            held.released.set()
            assert set(await asyncio.gather(*asking)) == {200}
            await eventually_async(lambda: made.states()[1] == "closed", what="it is back")
        finally:
            await cancel_all(asking)


async def test_a_probe_whose_client_goes_is_followed_by_another() -> None:
    agreed = accrual(min_backoff_ns=round(300 * patience()) * MS, max_backoff_ns=HOUR)
    async with rig(200, 500, agreed=agreed) as made:
        await made.opens()
        held = made.replicas[1]
        await eventually_async(lambda: made.states()[1] == "probation", what="its time is over")
        held.status = 200
        held.released.clear()
        _reader, writer = await asyncio.open_connection(*made.address)
        before = held.asked
        writer.write(REQUEST)
        await eventually_async(lambda: held.asked == before + 1, what="it is asked")
        end_with_reset(writer)
        await end(writer.transport.abort, writer)
        held.released.set()

        async def tried() -> bool:
            assert await made.ask() == 200
            return held.asked > before + 1

        await eventually_async(tried)
        assert made.changes() == {"open": 1, "closed": 1}
        assert made.states() == ["closed", "closed"]


@pytest.mark.parametrize(("replicas", "out"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)])
async def test_where_all_fail_half_of_them_stay(replicas: int, out: int) -> None:
    async with rig(*[500] * replicas, agreed=accrual(max_failures=1)) as made:
        # What the servers say, not what a proxy would that has nobody to ask.
        assert await made.asked(40) == [500] * 40
        assert made.states().count("open") == out
        assert made.ready().count(False) == out
        changes = made.changes()
        assert (changes.get("open", 0), changes["kept_closed"]) == (out, replicas - out)
        for one in made.replicas:
            one.status = 200
        assert await made.asked(20) == [200] * 20


async def test_as_many_stay_as_is_asked_for() -> None:
    async with rig(*[500] * 4, agreed=accrual(max_failures=1, min_ready=3)) as made:
        await made.asked(40)
        assert made.states().count("open") == 1


async def test_one_that_is_out_is_better_than_none() -> None:
    async with rig(200, 500, agreed=accrual()) as made:
        await made.opens()
        made.target.remove([Address(*made.replicas[0].address)])
        assert made.ready() == [False]
        assert await made.asked(3) == [500] * 3
        assert made.states() == ["open"]
        made.replicas[1].status = 200
        assert await made.ask() == 200
        await eventually_async(lambda: made.states() == ["closed"], what="it is back")


async def test_one_that_is_down_and_out_is_neither_dialled_nor_chosen() -> None:
    """What cannot be reached is out by itself: its failed connects may open its breaker, too."""
    async with rig(200, agreed=soon(max_failures=1)) as made:
        made.target.add([EndpointSpec(Address(*closed()))])
        assert await made.asked(20) == [200] * 20
        assert made.ready() == [True, False]


async def test_one_whose_time_is_over_helps_nobody_while_it_cannot_be_reached() -> None:
    agreed = accrual(max_failures=1, min_backoff_ns=100 * MS, max_backoff_ns=100 * MS)
    settings = {"failfast_ns": 50 * MS, "backoff_min_ns": HOUR, "backoff_max_ns": HOUR}
    async with rig(200, 500, agreed=agreed, **settings) as made:  # type: ignore[arg-type]
        await made.opens()
        await made.servers.aclose()
        # Refused by one and by the other, and nobody comes: the gate shuts.
        assert await made.ask() == 504
        await eventually_async(lambda: made.states()[1] == "probation", what="its time is over")
        assert await made.ask() == 503
        assert made.ready() == [False, False]


async def test_a_policy_that_changes_begins_with_closed_breakers() -> None:
    async with rig(200, 500, agreed=accrual()) as made:
        await made.opens()
        # The same again changes nothing.
        made.target.guard(accrual())
        assert made.states() == ["closed", "open"]
        made.target.guard(accrual(max_failures=4))
        assert made.states() == ["closed", "closed"]
        await made.opens()
        made.target.guard(None)
        assert made.states() == [None, None]
        assert made.ready() == [True, True]
        assert 500 in await made.asked(40)


async def test_endpoints_that_come_later_have_breakers_and_those_that_go_leave_nothing() -> None:
    async with rig(200, 200, agreed=accrual(), backoff_min_ns=5 * MS) as made:
        one = Replica(500)
        async with server(one.serve) as address:
            made.target.add([EndpointSpec(Address(*address))])
            await made.opens(2)
            made.target.remove([Address(*address)])
            assert made.states() == ["closed", "closed"]
            assert made.endpoints() == {"ready": 2}


async def test_breakers_of_a_way() -> None:
    async with rig(200, agreed=None) as made, AsyncExitStack() as stack:
        replicas = [Replica(200), Replica(500)]
        for one in replicas:
            one.address = await stack.enter_async_context(server(one.serve))
        way = made.target.sibling(b"v2.test:80")
        way.guard(accrual())
        way.configure(logical=b"v2.test:80")
        way.replace([EndpointSpec(Address(*one.address)) for one in replicas])
        made.target.routes = RouteTable(otherwise=Plan(ways=Split([Way(way)])))

        async def so() -> bool:
            await made.ask()
            return [one["breaker"] for one in way.endpoints_state()] == ["closed", "open"]

        await eventually_async(so)
        assert await made.asked(20) == [200] * 20
        assert made.replicas[0].asked == 0
        way.close()


async def test_whoever_wants_is_told_once_a_second_at_most() -> None:
    told: list[tuple[Target, str, str, int, int]] = []
    at: list[float] = []

    def tell(*said: Any) -> None:
        told.append(said)
        at.append(time.monotonic())

    async with rig(200, 500, agreed=accrual(max_failures=1)) as made:
        made.made.tables[0].on_breaker = tell
        await made.opens()
        address = f"{made.replicas[1].address[0]}:{made.replicas[1].address[1]}"
        assert told == [(made.target, address, "open", HOUR, 0)]
        made.target.guard(soon(max_failures=1))
        await made.opens()

        async def told_again() -> bool:
            # It fails until it is tried.
            made.replicas[1].status = 200 if made.states()[1] == "probation" else 500
            await made.ask()
            return len(told) > 2

        await eventually_async(told_again)
        changes = made.changes()
        assert len(told) + sum(one[4] for one in told) <= changes["open"] + changes["closed"]
        # By the clock of the loop, which is a little older than this one.
        assert all(later - earlier > 0.9 for earlier, later in pairwise(at))
    told.clear()


# ---- gRPC


class Calls(grpc.GenericRpcHandler):
    """Ends every call with a code."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self.code = code

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self.answer)

    async def answer(self, _request: bytes, call: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        if self.code is not grpc.StatusCode.OK:
            await call.abort(self.code, "so it is")
        return b"message"


@asynccontextmanager
async def grpc_server(code: grpc.StatusCode) -> AsyncIterator[tuple[str, int]]:
    made = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    made.add_generic_rpc_handlers((Calls(code),))
    port = made.add_insecure_port("127.0.0.1:0")
    await made.start()
    try:
        yield "127.0.0.1", port
    finally:
        await made.stop(0)


CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (CODE.UNAVAILABLE, "open"),
        (CODE.PERMISSION_DENIED, "open"),
        (CODE.RESOURCE_EXHAUSTED, "closed"),
        (CODE.NOT_FOUND, "closed"),
    ],
)
async def test_codes_of_grpc(code: grpc.StatusCode, state: str) -> None:
    async with (
        engine(penalizes_failures=False) as made,
        grpc_server(CODE.OK) as good,
        grpc_server(code) as bad,
    ):
        target, (host, port) = made.outbound(good, bad)
        target.guard(accrual())
        async with grpc.aio.insecure_channel(f"{host}:{port}") as channel:
            call = channel.unary_unary(METHOD)
            heard: list[grpc.StatusCode] = []

            async def enough() -> bool:
                try:
                    await call(b"")
                except grpc.aio.AioRpcError as error:
                    heard.append(error.code())
                return target.endpoints_state()[1]["breaker"] == "open" or len(heard) >= 10

            await eventually_async(enough)
        assert set(heard) == {code}
        assert target.endpoints_state()[1]["breaker"] == state
