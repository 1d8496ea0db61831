"""Endpoints that come, go, fail and are slow, under traffic."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target import Target
from linkerd2_py.base.tasks import spawn
from tests.support.engine import MS, engine
from tests.support.origin import Origin, origin
from tests.support.wait import eventually_async, in_time

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REQUEST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"


def spec(address: tuple[str, int]) -> EndpointSpec:
    return EndpointSpec(Address(*address))


async def ask(address: tuple[str, int], times: int) -> list[bytes]:
    """Status lines of so many requests on one keep-alive connection, reconnecting where the proxy closes."""
    reader, writer = await asyncio.open_connection(*address)
    statuses = []
    for _ in range(times):
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        statuses.append(head.split(b"\r\n")[0])
        if b"content-length: 2" in head.lower():
            await reader.readexactly(2)
    writer.close()
    await writer.wait_closed()
    return statuses


async def test_requests_are_spread_over_the_endpoints() -> None:
    async with engine() as made, AsyncExitStack() as stack:
        servers: list[Origin] = [
            await stack.enter_async_context(origin(lambda _h, _b: OK)) for _ in range(4)
        ]
        target, address = made.outbound(*[server.address for server in servers])
        await asyncio.gather(*(ask(address, 50) for _ in range(8)))
        assert all(len(server.heads) > 20 for server in servers)
        assert all(state["pending"] == 0 for state in target.endpoints_state())


async def test_churn_under_load_fails_nothing() -> None:
    async with engine() as made, AsyncExitStack() as stack:
        servers: list[Origin] = [
            await stack.enter_async_context(origin(lambda _h, _b: OK)) for _ in range(6)
        ]
        target, address = made.outbound(*[server.address for server in servers[:3]])

        async def churn() -> None:
            for turn in range(60):
                chosen = [servers[(turn + i) % 6] for i in range(1 + turn % 5)]
                target.replace([spec(server.address) for server in chosen])
                await asyncio.sleep(0.01)

        results = await asyncio.gather(churn(), *(ask(address, 200) for _ in range(10)))
        statuses = [status for result in results[1:] for status in result]  # type: ignore[union-attr]
    assert statuses == [b"HTTP/1.1 200 OK"] * 2000


async def test_an_endpoint_that_refuses_never_sees_a_request_fail() -> None:
    async with (
        engine() as made,
        origin(lambda _h, _b: OK) as good,
        origin(lambda _h, _b: OK) as gone,
    ):
        dead = gone.address
    async with engine() as made, origin(lambda _h, _b: OK) as good:
        _target, address = made.outbound(good.address, dead)
        assert await ask(address, 50) == [b"HTTP/1.1 200 OK"] * 50


async def test_a_pooled_connection_that_died_is_replaced() -> None:
    async with engine() as made, origin(lambda _h, _b: OK, close_after=1) as server:
        _target, address = made.outbound(server.address)
        assert await ask(address, 30) == [b"HTTP/1.1 200 OK"] * 30


async def test_in_flight_requests_finish_when_their_endpoint_goes() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\nabc")
        started.set()
        await release.wait()
        writer.write(OK)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with engine() as made:
        target, address = made.outbound(server.sockets[0].getsockname())
        asking = spawn(ask(address, 1), name="client")
        await started.wait()
        target.replace([])
        release.set()
        assert await asking == [b"HTTP/1.1 200 OK"]
    server.close()
    await server.wait_closed()


async def test_metrics_count_requests_responses_and_connections() -> None:
    async with engine() as made, origin(lambda _h, _b: OK) as server:
        _target, address = made.outbound(server.address)
        await ask(address, 7)
        text = made.metrics()
    host, port = server.address
    labels = f'direction="outbound",authority="svc.test:80",target_addr="{host}:{port}"'
    assert f"request_total{{{labels}" in text
    assert [
        line
        for line in text.splitlines()
        if line.startswith("response_total") and 'status_code="200"' in line and line.endswith(" 7")
    ]
    assert 'tcp_open_total{direction="outbound",peer="src"' in text
    assert 'tcp_open_total{direction="outbound",peer="dst"' in text


async def test_a_target_that_is_the_proxy_itself_is_answered_and_counted_as_a_loop() -> None:
    async with engine() as made:
        target, address = made.outbound()
        target.reject_loop()
        assert await ask(address, 1) == [b"HTTP/1.1 502 Bad Gateway"]
        (line,) = (one for one in made.metrics().splitlines() if one.startswith("response_total"))
    assert 'status_code="502"' in line
    assert 'error="loop"' in line


async def test_a_connection_outlives_its_target() -> None:
    """A target that nobody uses is forgotten; the next request on an old connection asks for it again."""
    async with engine() as made, origin(lambda _h, _b: OK) as server:

        def found(target: Target) -> None:
            target.configure()
            target.forward(EndpointSpec(Address(*server.address)))

        table = made.table(on_unknown=found)
        target = table.install(b"10.0.0.9:80")
        found(target)
        address = made.server(table, target=target)[1]
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(3):
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(2)
            table.remove(table.install(b"10.0.0.9:80"))
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("sent", [b"", b"\0binary"], ids=["silent", "opaque"])
async def test_a_client_may_wait_longer_than_its_target_is_kept(sent: bytes) -> None:
    async with engine() as made, banner() as server:

        def found(target: Target) -> None:
            target.configure()
            target.forward(EndpointSpec(Address(*server)))

        table = made.table(on_unknown=found)
        target = table.install(b"10.0.0.9:80")
        found(target)
        address = made.server(table, target=target, detect_timeout_ns=200 * MS)[1]
        reader, writer = await asyncio.open_connection(*address)
        await eventually_async(lambda: made.servers[0].open_connections == 1)
        table.remove(target)
        writer.write(sent)
        assert await in_time(reader.readexactly(8), 5) == b"welcome\n"
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def banner() -> AsyncIterator[tuple[str, int]]:
    """A server that speaks first."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()
