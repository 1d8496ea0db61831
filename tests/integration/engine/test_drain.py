"""Draining a server: nobody loses an answer."""

import asyncio
import socket

from linkerd2_py.base.tasks import spawn
from tests.support.engine import engine
from tests.support.origin import origin, talk

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_a_connection_that_only_the_kernel_accepted_is_answered() -> None:
    async with engine() as made, origin(lambda _h, _b: OK) as server:
        _target, address = made.outbound(server.address)
        clients = [socket.create_connection(address) for _ in range(20)]
        for client in clients:
            client.sendall(REQUEST)
        made.servers[-1].drain()
        for client in clients:
            client.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=client)
            answer = await reader.read(-1)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" in answer.lower()
            writer.close()
            await writer.wait_closed()


async def test_an_idle_connection_is_closed_and_nothing_is_left_open() -> None:
    async with engine() as made, origin(lambda _h, _b: OK) as server:
        _target, address = made.outbound(server.address)
        proxy = made.servers[-1]
        reader, writer = await asyncio.open_connection(*address)
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\nok")
        silent_reader, silent_writer = await asyncio.open_connection(*address)
        proxy.drain()
        assert await reader.read(-1) == b""
        assert await silent_reader.read(-1) == b""
        for one in (writer, silent_writer):
            one.close()
            await one.wait_closed()
        assert proxy.open_connections == 0


async def test_a_request_under_way_finishes_and_says_close() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        started.set()
        await release.wait()
        writer.write(OK)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with engine() as made:
        _target, address = made.outbound(server.sockets[0].getsockname())
        asking = spawn(talk(address, REQUEST), name="client")
        await started.wait()
        made.servers[-1].drain()
        release.set()
        answer = await asking
    server.close()
    await server.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer.lower()
