"""Requests that a route sends elsewhere: spread by weight, refused, or kept waiting until routes are known;
and what becomes of a way that no route takes any more.
"""

import asyncio
from collections.abc import Callable

import pytest

from linkerd2_py._ext.exchange.plan import Plan, Refusal
from linkerd2_py._ext.exchange.ways import Split, Way
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target import Target
from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.engine import engine
from tests.support.origin import origin, talk
from tests.support.wait import eventually_async

CLOSE = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


def saying(text: bytes) -> Callable[[bytes, bytes], bytes]:
    response = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text)
    return lambda _head, _body: response


def way_to(target: Target, *endpoints: tuple[str, int], key: bytes = b"v2.test:80") -> Target:
    way = target.sibling(key)
    way.configure(logical=key)
    way.replace([EndpointSpec(Address(*endpoint)) for endpoint in endpoints])
    return way


def all_to(*ways: Way) -> RouteTable:
    return RouteTable(otherwise=Plan(ways=Split(ways)))


async def test_requests_are_spread_over_ways() -> None:
    async with engine() as made, origin(saying(b"own")) as own, origin(saying(b"v2")) as other:
        target, address = made.outbound(own.address)
        way = way_to(target, other.address)
        target.routes = all_to(Way(), Way(way, weight=3))
        for _ in range(60):
            await talk(address, CLOSE, until=None)
        assert len(own.heads) + len(other.heads) == 60
        assert 0 < len(own.heads) < len(other.heads)
        assert target.in_use == way.in_use == 0
        requests = [one for one in made.metrics().splitlines() if one.startswith("request_total{")]
        assert len([one for one in requests if 'authority="v2.test:80"' in one]) == 1
        way.close()


@pytest.mark.parametrize("by", ["plan", "way"])
async def test_what_is_refused_is_told_so_and_nothing_is_sent(by: str) -> None:
    async with engine() as made, origin(saying(b"own")) as own:
        target, address = made.outbound(own.address)
        no = Refusal(418, "not for you")
        plan = Plan(refusal=no) if by == "plan" else Plan(ways=Split([Way(refusal=no)]))
        target.routes = RouteTable([(match.path(b"/"), plan)])
        got = await talk(address, CLOSE)
        assert got.startswith(b"HTTP/1.1 418 ")
        assert b"l5d-proxy-error: not for you\r\n" in got
        assert not own.heads
        got = await talk(address, CLOSE.replace(b"GET /", b"GET /else"))
        assert got.startswith(b"HTTP/1.1 200 ")
        assert target.in_use == 0


async def test_a_share_of_requests_may_be_refused() -> None:
    async with engine() as made, origin(saying(b"own")) as own:
        target, address = made.outbound(own.address)
        target.routes = RouteTable(otherwise=Plan(refusal=Refusal(500, "no", share=1, of=2)))
        answers = [await talk(address, CLOSE) for _ in range(60)]
        refused = sum(one.startswith(b"HTTP/1.1 500 ") for one in answers)
        assert 0 < refused < 60
        assert len(own.heads) == 60 - refused


async def test_requests_wait_for_the_routes_of_their_target() -> None:
    """By name, so that nothing before the request asked for a profile."""
    unknown: list[Target] = []
    async with engine() as made, origin(saying(b"own")) as own, origin(saying(b"v2")) as other:

        def on_unknown(target: Target) -> None:
            target.await_routes()
            target.replace([EndpointSpec(Address(*own.address))])
            unknown.append(target)

        table = made.table(on_unknown=on_unknown)
        _server, address = made.server(table)
        absolute = CLOSE.replace(b"GET /", b"GET http://svc.test/")
        asking = [spawn(talk(address, absolute), name="asking") for _ in range(3)]
        try:
            await eventually_async(lambda: _is(lambda: bool(unknown) and unknown[0].in_use == 3))
            assert not own.heads
            way = way_to(unknown[0], other.address)
            unknown[0].routes = all_to(Way(way))
            unknown[0].configure()
            for answer in await asyncio.gather(*asking):
                assert answer.endswith(b"v2")
            assert not own.heads
            assert unknown[0].in_use == 0
            way.close()
        finally:
            await cancel_all(asking)


async def test_without_routes_after_all_requests_go_to_their_target() -> None:
    async with engine() as made, origin(saying(b"own")) as own:

        def on_unknown(target: Target) -> None:
            target.await_routes()
            target.replace([EndpointSpec(Address(*own.address))])
            target.configure()

        _server, address = made.server(made.table(on_unknown=on_unknown))
        got = await talk(address, CLOSE.replace(b"GET /", b"GET http://svc.test/"))
        assert got.endswith(b"own")


async def test_routes_that_never_come_are_not_waited_for_without_end() -> None:
    async with engine() as made:
        _server, address = made.server(made.table(on_unknown=Target.await_routes))
        got = await talk(address, CLOSE.replace(b"GET /", b"GET http://svc.test/"))
        assert got.startswith(b"HTTP/1.1 504 ")


async def test_a_way_without_endpoints_fails_as_its_target_would() -> None:
    async with engine() as made, origin(saying(b"own")) as own:
        target, address = made.outbound(own.address)
        way = target.sibling(b"gone.test:80")
        way.configure()
        target.routes = all_to(Way(way))
        assert (await talk(address, CLOSE)).startswith(b"HTTP/1.1 504 ")
        assert target.in_use == way.in_use == 0
        way.close()


async def test_who_waits_for_a_way_and_goes_leaves_nothing_behind() -> None:
    async with engine(failfast_ns=60_000_000_000) as made:
        target, address = made.outbound()
        way = target.sibling(b"gone.test:80")
        way.configure()
        target.routes = all_to(Way(way))
        _reader, writer = await asyncio.open_connection(*address)
        writer.write(CLOSE)
        await eventually_async(lambda: _is(lambda: way.in_use == 1))
        assert target.in_use == 1
        writer.transport.abort()
        await eventually_async(lambda: _is(lambda: way.in_use == 0))
        assert target.in_use == 0
        way.close()


async def test_a_retired_way_serves_its_exchanges_to_their_end() -> None:
    began, answers = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        began.set()
        await answers.wait()
        writer.write(saying(b"at last")(b"", b""))
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with server, engine() as made, origin(saying(b"own")) as own:
        target, address = made.outbound(own.address)
        way = way_to(target, server.sockets[0].getsockname())
        target.routes = all_to(Way(way))
        asking = spawn(talk(address, CLOSE), name="asking")
        try:
            await asyncio.wait_for(began.wait(), 20)
            target.routes = None
            way.retire()
            assert way.endpoints_state()
            assert (await talk(address, CLOSE)).endswith(b"own")
            answers.set()
            assert (await asking).endswith(b"at last")
            assert not way.endpoints_state()
            way.retire()
        finally:
            await cancel_all([asking])


async def test_no_request_sees_half_a_table() -> None:
    """Each table answers by both of its rules with its own mark, over one connection that outlives all
    tables.
    """

    def table(number: int) -> RouteTable:
        return RouteTable(
            [(match.path(b"/a"), Plan(refusal=Refusal(403, f"{number} a")))],
            otherwise=Plan(ways=Split([Way(refusal=Refusal(403, f"{number} rest"))])),
        )

    async with engine() as made:
        target, address = made.outbound()
        reader, writer = await asyncio.open_connection(*address)
        for number in range(100):
            target.routes = table(number)
            for path, rule in ((b"/a", b"a"), (b"/b", b"rest")):
                writer.write(b"GET %s HTTP/1.1\r\nhost: a\r\n\r\n" % path)
                got = await reader.readuntil(b"\r\n\r\n")
                assert b"l5d-proxy-error: %d %s\r\n" % (number, rule) in got
        writer.close()
        await writer.wait_closed()


async def test_a_request_by_name_is_rewritten_before_it_takes_its_way() -> None:
    async with engine() as made, origin(saying(b"v2")) as other:

        def on_unknown(target: Target) -> None:
            ways.append(way_to(target, other.address))
            target.routes = all_to(Way(ways[0]))
            target.configure()

        ways: list[Target] = []
        _server, address = made.server(made.table(on_unknown=on_unknown))
        got = await talk(address, CLOSE.replace(b"GET /", b"GET http://svc.test/x"))
        assert got.endswith(b"v2")
        assert other.heads[0].startswith(b"GET /x HTTP/1.1\r\n")
        ways[0].close()


async def _is(truth: Callable[[], bool]) -> bool:
    return truth()
