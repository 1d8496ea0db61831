"""What an exchange takes from heads, keeps until somebody takes it, and forgets before it is used again."""

import asyncio
from typing import Any

import pytest

from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.exchange.testing import Watching
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target import Target
from tests.support.engine import engine
from tests.support.origin import origin, talk
from tests.support.wait import eventually_async

GET = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n"
DEMAND = b"GET /x HTTP/1.1\r\nhost: a\r\nl5d-require-id: %s\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
NONE = -1
STATUSES = [
    (b"0", 0),
    (b"7", 7),
    (b"016", 16),
    (b"999", 999),
    (b"1000", NONE),
    (b"", NONE),
    (b"x", NONE),
    (b"7x", NONE),
    (b"-7", NONE),
    (b"7 7", NONE),
]


def watched(target: Target) -> Watching:
    """Of all exchanges with that target."""
    watching = Watching()
    target.routes = RouteTable(otherwise=Plan(observers=[watching]))
    return watching


def ends(watching: Watching) -> list[tuple[Any, ...]]:
    return [tuple(rest) for what, *rest in watching.told if what == "end"]


@pytest.mark.parametrize(("said", "expected"), STATUSES)
async def test_a_grpc_status_is_up_to_three_digits_in_a_head(said: bytes, expected: int) -> None:
    answer = b"HTTP/1.1 200 OK\r\ngrpc-status: %s\r\ncontent-length: 2\r\n\r\nok" % said
    async with engine() as made, origin(lambda *_: answer) as server:
        target, address = made.outbound(server.address)
        watching = watched(target)
        await talk(address, GET, until=b"ok")
        await eventually_async(lambda: len(ends(watching)) == 1)
    assert ends(watching) == [("answered", 200, expected, "none")]


@pytest.mark.parametrize(("said", "expected"), STATUSES)
async def test_a_grpc_status_is_up_to_three_digits_in_trailers(said: bytes, expected: int) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = head + b"2\r\nok\r\n0\r\ngrpc-status: %s\r\n\r\n" % said
    async with engine() as made, origin(lambda *_: answer) as server:
        target, address = made.outbound(server.address)
        watching = watched(target)
        await talk(address, GET, until=b"0\r\n")
        await eventually_async(lambda: len(ends(watching)) == 1)
    assert ends(watching) == [("answered", 200, expected, "none")]


async def test_the_next_exchange_knows_nothing_of_the_last() -> None:
    answers = iter([b"HTTP/1.1 500 No\r\ngrpc-status: 7\r\ncontent-length: 2\r\n\r\nno", OK])
    async with engine() as made, origin(lambda *_: next(answers)) as server:
        target, address = made.outbound(server.address)
        watching = watched(target)
        await talk(address, GET, until=b"no")
        await eventually_async(lambda: len(ends(watching)) == 1)
        await talk(address, GET, until=b"ok")
        await eventually_async(lambda: len(ends(watching)) == 2)
    assert ends(watching) == [("answered", 500, 7, "none"), ("answered", 200, NONE, "none")]


@pytest.mark.parametrize("name", [b"", b"web.ns.serviceaccount.identity.linkerd.cluster.local"])
async def test_who_must_answer_is_asked_of_one_exchange_alone(name: bytes) -> None:
    async with engine() as made, origin(lambda *_: OK) as server:
        target, address = made.outbound(server.address)
        watching = watched(target)
        refusal = await talk(address, DEMAND % name, until=b"\r\n\r\n")
        await eventually_async(lambda: len(ends(watching)) == 1)
        assert not server.heads
        assert not refusal.startswith(b"HTTP/1.1 200")
        assert (await talk(address, GET, until=b"ok")).startswith(b"HTTP/1.1 200")
        await eventually_async(lambda: len(ends(watching)) == 2)
    assert [why for why, *_rest in ends(watching)] == ["failed", "answered"]


async def test_inbound_demands_nothing() -> None:
    async with engine() as made, origin(lambda *_: OK) as server:
        address = made.inbound(server.address)
        assert (await talk(address, DEMAND % b"x", until=b"ok")).startswith(b"HTTP/1.1 200")


async def test_what_came_before_there_was_an_endpoint_goes_to_it_whole() -> None:
    bodies = []

    def answer(_head: bytes, body: bytes) -> bytes:
        bodies.append(body)
        return OK

    async with engine(failfast_ns=60 * 10**9) as made, origin(answer) as server:
        target, address = made.outbound()
        watching = watched(target)

        async def appear() -> None:
            await eventually_async(lambda: len(watching.told) == 1)
            target.replace([EndpointSpec(Address(*server.address))])

        request = POST + b"2\r\nhi\r\n1\r\n!\r\n0\r\nx-sum: 1\r\n\r\n"
        answered, _ = await asyncio.gather(talk(address, request, until=b"ok"), appear())
    assert answered.endswith(b"ok")
    assert bodies == [b"hi!"]
    assert server.trailers == [b"x-sum: 1\r\n"]
