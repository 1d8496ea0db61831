"""Transports that were closed: the rest goes out, input is thrown away, and they end by themselves."""

import contextlib
import random

from linkerd2_py._ext.io.testing import RecorderSession
from tests.support.raw_socket import End
from tests.support.turns import read_while_running
from tests.support.wait import patience

MIB = 1 << 20
SECOND = 1_000_000_000


def test_close_delivers_what_was_unsent(loop, pair):
    session, peer = pair()
    held = session.hold()
    body = random.Random(3).randbytes(7 * MIB)
    session.send(body)
    assert held.state()["unsent"] > 0
    session.close()
    assert held.state()["lingering"]
    assert not session.attached
    assert read_while_running(loop, peer, len(body)) == body
    assert loop.run_until(lambda: held.state()["dead"])
    assert peer.receive_to_end() == (b"", End.FIN)


def test_close_with_unread_input_does_not_reset_what_was_sent(loop, pair):
    session, peer = pair(RecorderSession(consume=False))
    held = session.hold()
    peer.send(b"x" * 100_000)
    assert loop.run_until(session.peek)
    session.send(b"rejected")
    session.close()
    peer.send(b"x" * 100_000)
    peer.half_close()
    assert loop.run_until(lambda: held.state()["dead"])
    assert peer.receive_to_end() == (b"rejected", End.FIN)


def test_linger_for_input_waits_for_the_peers_fin(loop, pair):
    session, peer = pair()
    session.configure(linger_for_input=True)
    held = session.hold()
    session.send(b"no")
    session.close()
    assert peer.receive_to_end() == (b"no", End.FIN)
    assert not loop.run_until(lambda: held.state()["dead"], 0.02)
    peer.send(b"x" * 50_000)
    assert not loop.run_until(lambda: held.state()["dead"], 0.02)
    peer.close()
    assert loop.run_until(lambda: held.state()["dead"])


def test_a_peer_that_never_stops_sending_is_not_listened_to_for_ever(loop, pair):
    session, peer = pair()
    session.configure(linger_for_input=True)
    held = session.hold()
    session.close()
    peer.sock.setblocking(False)

    def pour() -> bool:
        try:
            while True:
                peer.sock.send(b"x" * MIB)
        except BlockingIOError:
            return held.state()["dead"]
        except (ConnectionResetError, BrokenPipeError):
            return True

    assert loop.run_until(pour)
    assert loop.run_until(lambda: held.state()["dead"])


def test_a_peer_that_resets_a_lingering_transport_ends_it(loop, pair):
    session, peer = pair()
    held = session.hold()
    for _ in range(7):
        session.send(b"x" * MIB)
    session.close()
    assert held.state()["lingering"]
    peer.reset()
    assert loop.run_until(lambda: held.state()["dead"])


# -- the bounds in time


def much(session, held):
    """As much unsent as is kept behind a close."""
    while held.state()["unsent"] <= 3 * MIB:
        session.send(b"x" * MIB)


def read_until_some_left(loop, peer, held):
    """The peer reads until the kernel has taken more of ours."""
    sent = held.state()["tx_bytes"]
    peer.sock.setblocking(False)

    def some_left() -> bool:
        with contextlib.suppress(BlockingIOError):
            peer.sock.recv(65536)
        return held.state()["tx_bytes"] > sent

    assert loop.run_until(some_left, 10 * patience())
    peer.sock.settimeout(10 * patience())


def test_a_peer_that_reads_nothing_in_time_sees_a_reset(loop, pair):
    session, peer = pair()
    held = session.hold()
    much(session, held)
    session.close()
    assert 0 < held.deadline() - loop.now <= 5 * SECOND
    held.expire()
    assert loop.run_until(lambda: held.state()["dead"])
    assert peer.receive_to_end()[1] is End.RESET
    assert session.names() == ["attached"]


def test_a_peer_that_does_not_end_in_time_has_got_all(loop, pair):
    session, peer = pair()
    session.configure(linger_for_input=True)
    held = session.hold()
    session.send(b"no")
    session.close()
    assert peer.receive_to_end() == (b"no", End.FIN)
    assert held.state()["lingering"]
    assert 0 < held.deadline() - loop.now <= 5 * SECOND
    held.expire()
    assert loop.run_until(lambda: held.state()["dead"])


def test_a_peer_that_takes_some_is_given_more_time(loop, pair):
    session, peer = pair()
    held = session.hold()
    much(session, held)
    session.close()
    first = held.deadline()
    read_until_some_left(loop, peer, held)
    assert held.state()["lingering"]
    assert held.deadline() > first
    peer.reset()
    assert loop.run_until(lambda: held.state()["dead"])


def test_a_peer_that_takes_some_now_and_then_is_not_served_for_ever(loop, pair):
    session, peer = pair()
    held = session.hold()
    much(session, held)
    # As if it were closed a minute ago.
    loop.now -= 60 * SECOND
    session.close()
    assert held.deadline() > loop.now
    read_until_some_left(loop, peer, held)
    assert held.deadline() <= loop.now
    assert loop.run_until(lambda: held.state()["dead"])
    assert peer.receive_to_end()[1] is End.RESET
