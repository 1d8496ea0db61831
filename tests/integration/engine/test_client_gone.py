"""A client that goes away is gone on the whole way: the endpoint hears of it, and nothing is held for it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target import Target
from tests.support.engine import MS, Engine, engine
from tests.support.wait import eventually_async

CLIENTS = 20
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GRACE = Limits(half_close_ns=50 * MS)


@dataclass(slots=True)
class Hung:
    """A server that reads and never answers, or says half of an answer."""

    address: tuple[str, int] = ("", 0)
    asked: int = 0
    ended: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)


@asynccontextmanager
async def hung(says: bytes = b"") -> AsyncIterator[Hung]:
    seen = Hung()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.writers.add(writer)
        began = False
        try:
            while got := await reader.read(65536):
                began = True
                seen.asked += got.count(b"GET ")
                writer.write(says)
        except ConnectionError:
            pass
        seen.ended += began
        seen.writers.discard(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.address = server.sockets[0].getsockname()
    try:
        yield seen
    finally:
        server.close()
        for writer in list(seen.writers):
            writer.close()


def outbound(made: Engine, *endpoints: tuple[str, int], h2: bool) -> tuple[Target, tuple[str, int]]:
    table = made.table("outbound")
    target = table.install(b"svc.test:80")
    target.configure()
    if endpoints:
        target.replace([EndpointSpec(Address(*endpoint), h2=h2) for endpoint in endpoints])
    return target, made.server(table, target=target, limits=GRACE)[1]


def ask(address: tuple[str, int]) -> socket.socket:
    client = socket.create_connection(address)
    client.sendall(REQUEST)
    return client


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
@pytest.mark.parametrize("meshed", [False, True])
async def test_the_endpoint_hears_of_clients_that_close(meshed: bool, says: bytes) -> None:
    async with engine() as made, hung(says) as server:
        inner = made.inbound(server.address, limits=GRACE) if meshed else server.address
        target, address = outbound(made, inner, h2=meshed)
        clients = [ask(address) for _ in range(CLIENTS)]
        await eventually_async(lambda: server.asked == CLIENTS)
        for client in clients:
            client.close()
        await eventually_async(lambda: server.ended == CLIENTS)
        await eventually_async(lambda: target.endpoints_state()[0]["pending"] == 0)
        await eventually_async(lambda: all(one.open_connections == 0 for one in made.servers[-1:]))


async def test_requests_that_wait_for_an_endpoint_go_with_their_clients() -> None:
    async with engine(failfast_ns=3600 * 1000 * MS) as made:
        _target, address = outbound(made, h2=False)
        clients = [ask(address) for _ in range(CLIENTS)]
        await eventually_async(lambda: made.servers[0].open_connections == CLIENTS)
        for client in clients:
            client.close()
        await eventually_async(lambda: made.servers[0].open_connections == 0)


@pytest.mark.parametrize("meshed", [False, True])
async def test_a_client_that_only_ended_its_side_gets_its_whole_response(meshed: bool) -> None:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
        for letter in b"0123456789":
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(bytes([letter]))
        writer.close()

    server = await asyncio.start_server(stream, "127.0.0.1", 0)
    async with engine() as made, server:
        workload = server.sockets[0].getsockname()
        inner = made.inbound(workload) if meshed else workload
        _target, address = made.outbound(inner, h2=meshed)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(REQUEST)
        writer.write_eof()
        assert (await reader.read()).endswith(b"0123456789")
        writer.close()
        await writer.wait_closed()
