"""Pumps between what is encrypted and what is not: as proxies have them, one at each end of the wire."""

import errno
import random
import socket
from collections.abc import Callable, Iterator

import pytest

from linkerd2_py._ext.io.testing import PumpWatch, RecorderSession, adopt
from tests.support.raw_socket import End, RawConnection, RawListener
from tests.unit._ext.io.test_pump import MIB, exchange

Ends = tuple[RecorderSession, RawConnection]


@pytest.fixture
def plain(loop) -> Iterator[Callable[[RecorderSession], Ends]]:
    made: list[RawConnection] = []

    def make(session: RecorderSession) -> Ends:
        with RawListener() as listener:
            ours = socket.create_connection(listener.address)
            made.append(listener.accept())
        ours.setblocking(False)
        adopt(loop, ours.detach(), session)
        return session, made[-1]

    yield make
    for peer in made:
        peer.close()


@pytest.fixture(params=["serving-plain", "plain-calling", "serving-calling"])
def tunnel(request, pairs, plain) -> Iterator[tuple[PumpWatch, RawConnection, RawConnection]]:
    """A running pump: the client's end, the server's end."""
    kinds = {"plain": plain, "serving": pairs.serving, "calling": pairs.calling}
    first, second = request.param.split("-")
    client, client_peer = kinds[first](RecorderSession(consume=False))
    server, server_peer = kinds[second](RecorderSession(consume=False))
    watch = PumpWatch()
    watch.start(client, server)
    yield watch, client_peer, server_peer
    watch.stop()


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 3 * MIB])
def test_bytes_go_both_ways_unchanged(loop, tunnel, size):
    watch, client, server = tunnel
    message = random.Random(size).randbytes(size)
    assert exchange(loop, client, server, message) == message
    assert exchange(loop, server, client, message) == message
    assert watch.held_bytes() == [(0, 0)]


def test_each_end_travels_by_itself(loop, tunnel):
    watch, client, server = tunnel
    assert exchange(loop, client, server, b"request") == b"request"
    client.half_close()
    loop.run_until(lambda: False, 0.02)
    assert server.receive_to_end() == (b"", End.FIN)
    assert exchange(loop, server, client, b"x" * MIB) == b"x" * MIB
    server.half_close()
    assert loop.run_until(lambda: watch.ended)
    assert watch.ended == [("none", 0)]
    assert client.receive_to_end() == (b"", End.FIN)
    assert loop.stats()["sources"] == 0


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_reset_stays_a_reset(loop, tunnel, side):
    watch, client, server = tunnel
    assert exchange(loop, client, server, b"open") == b"open"
    first, second = (client, server) if side == "client" else (server, client)
    first.reset()
    assert loop.run_until(lambda: watch.ended)
    assert watch.ended == [("reset", errno.ECONNRESET)]
    assert second.receive_to_end()[1] is End.RESET


def test_what_was_cut_off_does_not_look_whole_at_the_other_end(loop, pairs, plain):
    """The FIN of somebody in between, without a close_notify."""
    for make in (plain, pairs.calling):
        watch = PumpWatch()
        client, client_peer = pairs.serving(RecorderSession(consume=False))
        server, server_peer = make(RecorderSession(consume=False))
        watch.start(client, server)
        assert exchange(loop, client_peer, server_peer, b"half") == b"half"
        client_peer.truncate()
        assert loop.run_until(lambda: watch.ended)  # noqa: B023 - called before the next turn
        assert watch.ended == [("reset", errno.ECONNRESET)]
        assert server_peer.receive_to_end()[1] is End.RESET
