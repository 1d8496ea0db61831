"""Connections that stop being HTTP, or never were: WebSocket, CONNECT, opaque TCP."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.route.target import Target
from tests.support.engine import engine
from tests.support.origin import origin, talk
from tests.support.wait import in_time
from tests.support.ways import every_way, way_to

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GREETING = b"220 ready\r\n"


@asynccontextmanager
async def greeter() -> AsyncIterator[tuple[str, int]]:
    """A TCP server that speaks first, then echoes until the client's FIN, then says bye."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(GREETING)
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
            writer.write(b"bye")
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()
    server.close()
    await server.wait_closed()


@every_way
async def test_websockets_pass(way: str) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with engine() as made, serve(echo, "127.0.0.1", 0) as server:
        address = way_to(made, server.sockets[0].getsockname(), way=way)
        async with websockets.connect(f"ws://{address[0]}:{address[1]}/chat") as client:
            for message in ["hello", "x" * 200_000]:
                await client.send(message)
                assert await client.recv() == message


async def test_bytes_sent_before_101_are_held_and_delivered_once() -> None:
    got = asyncio.Event()
    seen = bytearray()

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"pgrade: chat" in head
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"
        )
        seen.extend(await reader.readexactly(5))
        got.set()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(upgrade, "127.0.0.1", 0)
    async with engine() as made:
        _target, address = made.outbound(server.sockets[0].getsockname())
        request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nearly"
        answer = await talk(address, request)
        await got.wait()
    server.close()
    await server.wait_closed()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert bytes(seen) == b"early"


@every_way
async def test_opaque_ports_serve_protocols_whose_server_speaks_first(way: str) -> None:
    async with engine() as made, greeter() as server:
        address = way_to(made, server, way=way, opaque=True)
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.readexactly(len(GREETING)) == GREETING
        body = bytes(range(256)) * 8000
        writer.write(body)
        writer.write_eof()
        assert await reader.read(-1) == body + b"bye"
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_waits_is_opaque_after_the_detection_timeout() -> None:
    async with engine() as made, greeter() as server:
        table = made.table()
        target = table.install(b"mail.test:25")
        target.configure()
        target.replace([EndpointSpec(Address(*server))])
        _proxy, address = made.server(table, target=target, detect_timeout_ns=100_000_000)
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.readexactly(len(GREETING)) == GREETING
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("proxies", [1, 2])
async def test_a_client_that_has_nothing_to_say_still_hears_the_server(proxies: int) -> None:
    """Its end is all that was sent, and it passes: the server answers with its own last words, long before
    the detection timeout.
    """
    async with engine() as made, greeter() as server:
        address = server
        for _ in range(proxies):
            address = made.outbound(address)[1]
        reader, writer = await asyncio.open_connection(*address)
        writer.write_eof()
        assert await in_time(reader.read(-1), 5) == GREETING + b"bye"
        writer.close()
        await writer.wait_closed()


async def test_a_client_hello_passes_untouched() -> None:
    hello = b"\x16\x03\x01\x00\x05hello"
    async with engine() as made, greeter() as server:
        _target, address = made.outbound(server)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(hello)
        assert await reader.readexactly(len(GREETING) + len(hello)) == GREETING + hello
        writer.close()
        await writer.wait_closed()


async def test_an_abort_stays_an_abort() -> None:
    ended: asyncio.Future[BaseException | bytes] = asyncio.get_running_loop().create_future()

    async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        try:
            ended.set_result(await reader.read(-1))
        except ConnectionError as error:
            ended.set_result(error)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(watch, "127.0.0.1", 0)
    async with engine() as made:
        _target, address = made.outbound(server.sockets[0].getsockname(), opaque=True)
        reader, writer = await asyncio.open_connection(*address)
        await reader.readexactly(len(GREETING))
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        assert isinstance(await in_time(ended, 10), ConnectionResetError)
    server.close()
    await server.wait_closed()


async def test_an_opaque_connection_to_nobody_is_reset() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = probe.getsockname()
    async with engine() as made:
        _target, address = made.outbound(nobody, opaque=True)
        reader, writer = await asyncio.open_connection(*address)
        with pytest.raises(ConnectionResetError):
            await in_time(reader.read(-1), 10)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("opaque", [False, True])
async def test_connect_to_the_proxy_tunnels_to_the_named_target(*, opaque: bool) -> None:
    seen = []

    def resolve(target: Target) -> None:
        seen.append(target.key)
        target.configure(opaque=opaque)
        target.replace([EndpointSpec(Address(*server.address))])

    async with engine() as made, origin(lambda _head, _body: OK) as server:
        _proxy, address = made.server(made.table(on_unknown=resolve))
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"CONNECT Svc.Test:8080 HTTP/1.1\r\nHost: svc.test:8080\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET / HTTP/1.1\r\nHost: svc.test\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()
    assert seen == [b"svc.test:8080"]
    assert server.heads[0].startswith(b"GET / HTTP/1.1\r\n")


async def test_absolute_form_names_the_target_and_becomes_origin_form() -> None:
    def resolve(target: Target) -> None:
        target.configure()
        target.replace([EndpointSpec(Address(*server.address))])

    async with engine() as made, origin(lambda _head, _body: OK) as server:
        _proxy, address = made.server(made.table(on_unknown=resolve))
        await talk(address, b"GET http://svc.test/x HTTP/1.1\r\nHost: other\r\n\r\n", until=b"ok")
    head = server.heads[0].lower()
    assert head.startswith(b"get /x http/1.1\r\n")
    assert b"host: svc.test\r\n" in head
    assert b"other" not in head


async def test_connect_through_a_fixed_target_is_answered_by_the_server() -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"CONNECT far.test:443 ")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.write(await reader.readexactly(4))
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with engine() as made:
        _target, address = made.outbound(server.sockets[0].getsockname())
        got = await talk(
            address, b"CONNECT far.test:443 HTTP/1.1\r\nHost: far.test:443\r\n\r\nping"
        )
    server.close()
    await server.wait_closed()
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"\r\n\r\nping")
