"""Batches over TLS: what was read or written for many at once is decrypted and told as if each had made its
own call.
"""

import errno
import random
from collections.abc import Callable

import pytest

from linkerd2_py._ext.io.testing import RecorderSession
from linkerd2_py._ext.tls.testing import be_sent, be_told, state_of
from tests.support.raw_socket import End

NOT_MADE = -5000  # the ring broke before the call
IDLE = {"arrived": 0, "sealed": 0, "sealed_plain": 0}


# -- reading


def test_a_batched_read_is_decrypted(loop, pair):
    session, peer = pair()
    wire = peer.sock.encrypt(b"one") + peer.sock.encrypt(b"two")
    be_told(session, len(wire), wire)
    assert session.received == b"onetwo"
    peer.send(b"three")
    assert loop.run_until(lambda: session.received == b"onetwothree")
    assert state_of(session) == IDLE


def test_a_batched_read_may_end_inside_a_record(loop, pair):
    session, peer = pair()
    wire = peer.sock.encrypt(b"in two")
    be_told(session, 10, wire[:10])
    assert session.received == b""
    peer.plain.send(wire[10:])
    assert loop.run_until(lambda: session.received == b"in two")


def test_a_batched_read_that_filled_its_buffer_is_read_on(loop, pair):
    """The kernel may hold more, of which no event tells."""
    session, peer = pair()
    body = random.Random(1).randbytes(30_000)
    wire = peer.sock.encrypt(body)
    peer.plain.send(wire[16_384:])
    be_told(session, 16_384, wire[:16_384])
    assert loop.run_until(lambda: session.received == body)


@pytest.mark.parametrize("outcome", [0, -errno.EAGAIN, -errno.EINTR, NOT_MADE])
def test_other_outcomes_of_a_batched_read_lose_nothing(loop, pair, outcome):
    session, peer = pair()
    be_told(session, outcome)
    peer.send(b"later")
    assert loop.run_until(lambda: session.received == b"later")
    peer.half_close()
    assert loop.run_until(lambda: session.names()[-1] == "read_eof")
    assert state_of(session) == IDLE


@pytest.mark.parametrize(
    ("code", "fault"), [(errno.ECONNRESET, "reset"), (errno.ETIMEDOUT, "timeout")]
)
def test_an_error_of_a_batched_read_ends_the_connection_with_that_error(loop, pair, code, fault):
    session, peer = pair()
    be_told(session, -code)
    # The kernel tells an error once: what it says afterwards looks like an end.
    peer.truncate()
    assert loop.run_until(lambda: not session.attached)
    assert session.events[-1] == ("fault", fault, code)


def test_a_broken_record_of_a_batched_read_is_a_fault(loop, pair):
    session, _ = pair()
    be_told(session, 100, bytes(100))
    assert session.events[-1] == ("fault", "tls", errno.EPROTO)


def test_bytes_that_come_while_a_batched_read_waits_for_its_session_are_not_forgotten(loop, pair):
    ends = [pair() for _ in range(2)]

    def pause_other(name: str, session: RecorderSession) -> None:
        other = ends[1][0] if session is ends[0][0] else ends[0][0]
        if name == "readable" and other.attached and not other.received:
            other.pause("peer_full")

    for session, peer in ends:
        session.hook = pause_other
        peer.send(b"first")
    loop.run_until(lambda: False, 0.01)
    (waiting, peer) = next(end for end in ends if not end[0].received)
    peer.send(b"second")
    loop.run_until(lambda: False, 0.01)
    waiting.resume("peer_full")
    assert loop.run_until(lambda: waiting.received == b"firstsecond"), waiting.received


# -- writing


@pytest.fixture
def batched() -> Callable[[RecorderSession, Callable[[int], int]], None]:
    """`batched(session, outcome)`: what is unsent is written in a batch that ends so."""

    def write(session: RecorderSession, outcome: Callable[[int], int]) -> None:
        try:
            be_sent(session, outcome)
        except LookupError:
            pytest.skip("the kernel offers no io_uring")

    return write


def wake(loop, peer, session) -> None:
    """Any event on a socket with room says that there is room."""
    peer.send(b"!")
    assert loop.run_until(lambda: session.received.endswith(b"!"))


def test_a_batched_write_is_encrypted_and_leaves_nothing(loop, pair, batched):
    session, peer = pair()
    for size in (5, 4096, 4097, 15_360):
        body = random.Random(size).randbytes(size)
        session.send(body, flush=False)
        batched(session, lambda ciphertext: ciphertext)
        assert peer.receive(size) == body
        assert state_of(session) == IDLE
        assert session.hold().state()["unsent"] == 0


@pytest.mark.parametrize(
    "outcome",
    [
        lambda size: 1,
        lambda size: size - 1,
        lambda size: -errno.EAGAIN,
        lambda size: -errno.EINTR,
        lambda size: NOT_MADE,
    ],
    ids=["a byte", "all but one", "EAGAIN", "EINTR", "not made"],
)
def test_what_a_batch_did_not_write_is_written_once(loop, pair, batched, outcome):
    session, peer = pair()
    held = session.hold()
    session.send(b"first", flush=False)
    batched(session, outcome)
    session.send(b"second")
    wake(loop, peer, session)
    assert peer.receive(11) == b"firstsecond"
    assert held.state()["tx_bytes"] == 11
    assert state_of(session) == IDLE
    session.shutdown_write()
    assert peer.receive_to_end() == (b"", End.FIN)


def test_an_error_of_a_batched_write_is_told_behind_the_readable_bytes(loop, pair, batched):
    session, peer = pair()
    peer.send(b"early answer")
    session.send(b"x", flush=False)
    batched(session, lambda size: -errno.EPIPE)
    assert session.attached
    peer.truncate()
    assert loop.run_until(lambda: not session.attached)
    assert session.received == b"early answer"
    assert session.events[-1] == ("fault", "reset", errno.EPIPE)


def test_a_closed_connection_is_written_out_behind_a_batch_and_ends_cleanly(loop, pair, batched):
    session, peer = pair()
    held = session.hold()
    session.send(b"x" * 5000, flush=False)
    batched(session, lambda size: 1)
    session.close()
    assert held.state()["lingering"]
    peer.send(b"!")
    assert loop.run_until(lambda: held.state()["dead"])
    assert peer.receive_to_end() == (b"x" * 5000, End.FIN)


def test_what_does_not_fit_a_small_buffer_is_not_for_a_batch(loop, pair):
    session, peer = pair()
    session.send(b"x" * 8000, flush=False)
    session.send(b"x" * 7361, flush=False)
    with pytest.raises(LookupError):
        be_sent(session, lambda ciphertext: ciphertext)
    session.send(b"")
    assert peer.receive(15_361) == b"x" * 15_361
