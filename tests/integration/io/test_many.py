"""Hundreds of connections at once: echo them all, and keep memory flat when their readers stall."""

import asyncio
import contextlib
import gc
import socket
from pathlib import Path

import psutil

from linkerd2_py._ext.core import buffer
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import AcceptWith, EchoSession, PumpAccepting
from tests.support.wait import eventually_async, within

CONNECTIONS = 500


def test_500_connections_are_echoed_and_leave_nothing() -> None:
    async def talk(port: int, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for turn in range(5):
            message = f"{number}:{turn};".encode() * (turn * 100 + 1)
            writer.write(message)
            assert await reader.readexactly(len(message)) == message
        writer.close()
        await writer.wait_closed()

    async def story() -> dict[str, int]:
        loop = Loop()
        asyncio.get_running_loop().add_reader(loop.fileno(), loop.drain)
        accepting = AcceptWith(EchoSession)
        listener = Listener(loop, ("127.0.0.1", 0), accepting)
        async with within(30):
            await asyncio.gather(
                *(talk(listener.address.port, number) for number in range(CONNECTIONS))
            )
        await eventually_async(lambda: loop.stats()["sources"] == 1)
        listener.close()
        stats = loop.stats()
        asyncio.get_running_loop().remove_reader(loop.fileno())
        loop.close()
        return stats

    stats = asyncio.run(story())
    assert stats["errors"] == 0
    assert stats["sources"] == 0


def fill(clients: list[socket.socket], block: bytes) -> int:
    """What the kernel takes of everyone's bytes now."""
    total = 0
    for client in clients:
        with contextlib.suppress(BlockingIOError):
            while True:
                total += client.send(block)
    return total


def test_500_stalled_readers_hold_one_small_piece_of_memory_each() -> None:
    loop = Loop()
    with socket.socket() as server:
        # Small kernel buffers: what is measured is ours, and it fills quickly.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        server.bind(("127.0.0.1", 0))
        server.listen(CONNECTIONS)
        accepting = PumpAccepting(loop, Address(*server.getsockname()))
        listener = Listener(loop, ("127.0.0.1", 0), accepting, backlog=CONNECTIONS)
        address = (listener.address.host, listener.address.port)
        clients, stalled = [], []
        for _ in range(CONNECTIONS):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
            client.connect(address)
            client.setblocking(False)
            clients.append(client)
            loop.drain()
        while len(stalled) < CONNECTIONS:
            loop.run_until(lambda: False, 0.001)
            server.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    stalled.append(server.accept()[0])
        assert loop.run_until(lambda: len(accepting.watch.held_bytes()) == CONNECTIONS)

        def holding() -> list[int]:
            return [upward + downward for upward, downward in accepting.watch.held_bytes()]

        block = b"x" * 65536
        while fill(clients, block) or not all(holding()):
            loop.run_until(lambda: False, 0.05)
        held = holding()
        assert max(held) <= 262144
        assert sum(held) <= CONNECTIONS * 16384 + 32 * 262144
        gc.collect()
        before = psutil.Process().memory_info().rss
        for _ in range(5):
            fill(clients, block)
            loop.run_until(lambda: False, 0.02)
        grown = psutil.Process().memory_info().rss - before
        assert grown < 4 << 20, Path("/proc/self/status").read_text()
        for connection in clients + stalled:
            connection.close()
        assert loop.run_until(lambda: not accepting.watch.held_bytes(), 10)
        listener.close()
    assert loop.stats()["errors"] == 0
    loop.close()
    small, large = buffer.spare()
    assert small <= 256
    assert large <= 8
