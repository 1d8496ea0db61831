"""What is kept for who comes to a target: as much as is in use, whatever the shell answers."""

import asyncio
import gc

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py._ext.route.router import ConnectionRouter
from tests.support.engine import engine
from tests.support.origin import origin, talk
from tests.support.wait import eventually_async

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CONNECTIONS = 50


def routers() -> int:
    gc.collect()
    return sum(isinstance(one, ConnectionRouter) for one in gc.get_objects())


def anew(_client: Client, _peer: Address | None, _port: int) -> Permission:
    """An answer that is remembered by nobody."""
    return Permission()


async def test_a_permission_that_is_made_anew_leaves_nothing_behind() -> None:
    before = routers()
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = made.inbound(server.address, authorize=anew)
        for _ in range(CONNECTIONS):
            await talk(address, GET, until=b"ok")
        # The last one that came is remembered.
        await eventually_async(lambda: routers() - before <= 1)


async def test_connections_that_are_open_at_once_share_theirs() -> None:
    before = routers()
    answers = [Permission(), Permission()]
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        turn = iter(range(CONNECTIONS))
        address = made.inbound(
            server.address, authorize=lambda _client, _peer, _port: answers[next(turn) % 2]
        )
        open_now = [await asyncio.open_connection(*address) for _ in range(CONNECTIONS)]
        for reader, writer in open_now:
            writer.write(GET)
            await reader.readuntil(b"ok")
        assert routers() - before == 2
        for _, writer in open_now:
            writer.transport.abort()
