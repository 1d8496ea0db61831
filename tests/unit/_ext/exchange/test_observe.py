"""Observers of a plan see each exchange begin and end once, in order, however it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import pytest

from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.exchange.testing import Watching, broken
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.local_client import LocalClient
from linkerd2_py._ext.route.target import Target
from tests.support.engine import MS, engine
from tests.support.http2_script import (
    END_HEADERS,
    HEADERS,
    REFUSED_STREAM,
    Link,
    ask,
    frame,
    reset,
    scripted,
    settings,
)
from tests.support.http2_script import request as http2_request
from tests.support.origin import origin, talk
from tests.support.ports import free_address
from tests.support.wait import eventually_async

Told: TypeAlias = list[tuple[Any, ...]]
GET = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"
INTERNAL_ERROR, CANCEL = 2, 8
REQUEST = ("request", b"GET", b"/x")


def watched(target: Target, *more: Watching) -> Watching:
    """Of all exchanges with that target."""
    watching = Watching()
    target.routes = RouteTable(otherwise=Plan(observers=[watching, *more]))
    return watching


def brief(told: Told) -> Told:
    """Without the fields of responses."""
    return [each[:2] if each[0] == "response" else each for each in told]


@asynccontextmanager
async def silent(says: bytes = b"") -> AsyncIterator[tuple[str, int]]:
    """A server that says that once it is asked, and no more."""
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


# ---- answered


async def test_a_response_is_seen_as_the_client_gets_it() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nl5d-proxy-error: x\r\nx-app: y\r\n\r\nok"
    async with engine() as made, origin(lambda *_: answer) as server:
        target, address = made.outbound(server.address)
        watching = watched(target)
        await talk(address, GET, until=b"ok")
        await eventually_async(lambda: len(watching.told) == 3)
    fields = [(b"content-length", b"2"), (b"x-app", b"y")]
    assert watching.told == [
        REQUEST,
        ("response", 200, fields),
        ("end", "answered", 200, -1, "none"),
    ]


async def test_each_exchange_of_a_connection_has_its_own_story() -> None:
    async with engine() as made, origin(lambda *_: OK) as server:
        target, address = made.outbound(server.address)
        watching = watched(target)
        await talk(address, 2 * GET, until=b"okHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await eventually_async(lambda: len(watching.told) == 6)
    once = [REQUEST, ("response", 200), ("end", "answered", 200, -1, "none")]
    assert brief(watching.told) == 2 * once


async def test_an_answer_before_the_end_of_its_request_is_one() -> None:
    post = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf"
    async with engine() as made, silent(OK) as server:
        target, address = made.outbound(server)
        watching = watched(target)
        await talk(address, post, until=b"ok")
        await eventually_async(lambda: len(watching.told) == 3)
    assert watching.told[-1] == ("end", "answered", 200, -1, "none")


async def test_a_request_that_is_chosen_again_is_one_exchange() -> None:
    async def refuse_once(link: Link, number: int) -> None:
        link.send(settings())
        async for got in link.frames():
            if got.kind == HEADERS:
                if got.stream == number == 1:
                    link.send(reset(1, REFUSED_STREAM))
                else:
                    link.answer(got.stream, body=b"ok")

    async with engine() as made, scripted(refuse_once) as server:
        target, address = made.outbound(server.address)
        watching = watched(target)
        (outcome,) = await ask(address, (http2_request(method="GET"), b""))
        assert outcome.body == b"ok"
    assert brief(watching.told) == [
        REQUEST,
        ("response", 200),
        ("end", "answered", 200, -1, "none"),
    ]


async def test_the_grpc_status_of_trailers_is_known_at_the_end() -> None:
    async def fail(link: Link, _number: int) -> None:
        link.send(settings())
        async for got in link.frames():
            if got.kind == HEADERS:
                head = link.encoder.encode(
                    [(":status", "200"), ("content-type", "application/grpc")]
                )
                trailers = link.encoder.encode([("grpc-status", "5")])
                link.send(frame(HEADERS, END_HEADERS, got.stream, head))
                link.send(frame(HEADERS, END_HEADERS | 1, got.stream, trailers))

    async with engine() as made, scripted(fail) as server:
        target, address = made.outbound(server.address)
        watching = watched(target)
        await ask(address, (http2_request(("content-type", "application/grpc")), b"\0\0\0\0\0"))
    assert watching.told[-1] == ("end", "answered", 200, 5, "none")


# ---- cut short


async def test_a_response_that_the_endpoint_breaks_off() -> None:
    async def answer_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HALF)
        writer.close()

    server = await asyncio.start_server(answer_half, "127.0.0.1", 0)
    async with engine() as made, server:
        target, address = made.outbound(server.sockets[0].getsockname())
        watching = watched(target)
        await talk(address, GET)
        await eventually_async(lambda: len(watching.told) == 3)
    assert brief(watching.told) == [
        REQUEST,
        ("response", 200),
        ("end", "broken", 200, -1, "io"),
    ]


async def test_a_reset_by_the_endpoint_that_the_client_gets_too() -> None:
    async def cancel(link: Link, _number: int) -> None:
        link.send(settings())
        async for got in link.frames():
            if got.kind == HEADERS:
                link.send(reset(got.stream, CANCEL))

    async with engine() as made, scripted(cancel) as server:
        target, address = made.outbound(server.address)
        watching = watched(target)
        (outcome,) = await ask(address, (http2_request(method="GET"), b""))
        assert outcome.reset == CANCEL
    assert watching.told == [REQUEST, ("end", "broken", 0, -1, "reset")]


@pytest.mark.parametrize("says", [b"", HALF])
async def test_a_client_that_goes_away(says: bytes) -> None:
    async with engine() as made, silent(says) as server:
        target, address = made.outbound(server)
        watching = watched(target)
        _reader, writer = await asyncio.open_connection(*address)
        writer.write(GET)
        await eventually_async(lambda: len(watching.told) == (2 if says else 1))
        writer.transport.abort()
        await eventually_async(lambda: watching.told[-1][0] == "end")
    assert watching.told[-1] == ("end", "cancelled", 200 if says else 0, -1, "cancelled")
    assert [what for what, *_rest in watching.told].count("end") == 1


async def test_a_client_that_resets_its_request() -> None:
    async with engine() as made, silent() as server:
        target, _address = made.outbound(server)
        watching = watched(target)
        ignoring: dict[str, Any] = dict.fromkeys(
            ("on_head", "on_body", "on_end", "on_reset"), lambda *_told: None
        )
        LocalClient(made.tables[0]).request(target, path=b"/x", **ignoring).cancel()
    assert watching.told == [REQUEST, ("end", "cancelled", 0, -1, "cancelled")]


def test_a_fault_of_ours_cuts_both_sides_short_once(loop: Loop) -> None:
    watching = Watching()
    ours = [("reset", "local", INTERNAL_ERROR)]
    assert broken(loop, Plan(observers=[watching])) == (ours, ours)
    assert watching.told == [("end", "broken", 0, -1, "unexpected")]


# ---- answered by the proxy


async def test_an_endpoint_that_refuses() -> None:
    async with engine() as made:
        target, address = made.outbound()
        target.forward(EndpointSpec(Address(*free_address())))
        watching = watched(target)
        assert b" 502 " in await talk(address, GET, until=b"\r\n\r\n")
    assert watching.told == [REQUEST, ("end", "failed", 502, -1, "connect")]


async def test_nobody_is_there_in_time() -> None:
    async with engine(failfast_ns=10 * MS) as made:
        target, address = made.outbound()
        watching = watched(target)
        assert b" 504 " in await talk(address, GET, until=b"\r\n\r\n")
    assert watching.told == [REQUEST, ("end", "failed", 504, -1, "failfast")]


async def test_a_rejected_target() -> None:
    async with engine() as made:
        target, address = made.outbound()
        target.reject(404, "nobody")
        watching = watched(target)
        assert b" 404 " in await talk(address, GET, until=b"\r\n\r\n")
    assert watching.told == [REQUEST, ("end", "failed", 404, -1, "no_route")]


# ---- the connection is the application's


async def test_an_upgrade() -> None:
    upgrade = b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    switch = b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi"
    async with engine() as made, silent(switch) as server:
        target, address = made.outbound(server)
        watching = watched(target)
        await talk(address, upgrade, until=b"hi")
    assert brief(watching.told) == [
        REQUEST,
        ("response", 101),
        ("end", "tunnelled", 101, -1, "none"),
    ]


@pytest.mark.parametrize("opaque", [False, True])
async def test_connect_to_the_proxy_itself(opaque: bool) -> None:
    """The proxy answers it, so there is no response of an endpoint."""
    connect = b"CONNECT svc.test:80 HTTP/1.1\r\nhost: svc.test:80\r\n\r\n"
    async with engine() as made, silent(b"hi") as server:
        table = made.table()
        target = table.install(b"svc.test:80")
        target.configure(opaque=opaque)
        target.forward(EndpointSpec(Address(*server)))
        watching = watched(target)
        await talk(made.server(table)[1], connect, until=b"\r\n\r\n")
        await eventually_async(lambda: watching.told[-1][0] == "end")
    assert watching.told[1:] == [("end", "tunnelled", 200, -1, "none")]


# ---- several, and such that raise


async def test_all_observers_of_a_plan_are_told_in_order() -> None:
    told: Told = []
    async with engine() as made:
        target, address = made.outbound()
        target.reject(404, "nobody")
        first, second = Watching(told), Watching(told)
        target.routes = RouteTable(otherwise=Plan(observers=[first, second]))
        await talk(address, GET, until=b"\r\n\r\n")
    assert [what for what, *_rest in told] == ["request", "request", "end", "end"]


@pytest.mark.parametrize("at", ["request", "response", "end"])
async def test_one_that_raises_is_reported_and_neither_the_exchange_nor_others_suffer(
    at: str,
) -> None:
    async with engine() as made, origin(lambda *_: OK) as server:
        target, address = made.outbound(server.address)
        bad, good = Watching(raises=at), Watching()
        target.routes = RouteTable(otherwise=Plan(observers=[bad, good]))
        for _ in range(2):
            assert (await talk(address, GET, until=b"ok")).endswith(b"ok")
        await eventually_async(lambda: len(good.told) == 6)
        assert bad.told == good.told
        assert [str(error) for error in made.errors] == 2 * [f"at {at}"]
        made.errors.clear()


# ---- who is asked at all


async def test_an_exchange_keeps_the_plan_that_it_began_with() -> None:
    async with engine() as made, silent() as server:
        target, address = made.outbound(server)
        before = watched(target)
        _reader, writer = await asyncio.open_connection(*address)
        writer.write(GET)
        await eventually_async(lambda: len(before.told) == 1)
        after = watched(target)
        writer.transport.abort()
        await eventually_async(lambda: len(before.told) == 2)
    assert after.told == []
