"""TLS over real sockets: what has no counterpart on a plain transport."""

import errno
import random
import socket

import pytest

from linkerd2_py._ext.core.testing import LARGE
from linkerd2_py._ext.io.testing import RecorderSession, adopt

RESET = ("fault", "reset", errno.ECONNRESET)
MIB = 1 << 20


# -- ends


@pytest.mark.parametrize("cut", [1, 4, 5, 20, -1])
def test_a_fin_inside_a_record_is_a_reset(loop, pair, cut):
    session, peer = pair()
    wire = peer.sock.encrypt(b"half a message")
    peer.plain.send(wire[:cut])
    peer.truncate()
    assert loop.run_until(lambda: not session.attached), session.events
    assert session.events[-1] == RESET
    assert session.received == b""


def test_a_fin_between_records_is_a_reset_behind_the_bytes(loop, pair):
    session, peer = pair()
    peer.send(b"looks whole")
    peer.truncate()
    assert loop.run_until(lambda: not session.attached)
    assert session.received == b"looks whole"
    assert session.events[-1] == RESET


# -- batches


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


def test_bulk_goes_on_when_all_large_buffers_are_out(loop, pair):
    stalled: list[RecorderSession] = []
    theirs: list[socket.socket] = []
    for _ in range(33):
        ours, other = socket.socketpair()
        ours.setblocking(False)
        session = RecorderSession(consume=False)
        adopt(loop, ours.detach(), session)
        session.configure(read_size=LARGE)
        other.send(b"unread")
        stalled.append(session)
        theirs.append(other)
    assert loop.run_until(lambda: all(session.peek() for session in stalled))
    session, peer = pair()
    body = random.Random(1).randbytes(MIB)
    session.send(body)
    peer.sock.setblocking(False)
    got = bytearray()

    def take() -> bool:
        try:
            while piece := peer.sock.recv(MIB):
                got.extend(piece)
        except BlockingIOError:
            pass
        return len(got) == len(body)

    assert loop.run_until(take), len(got)
    assert got == body
    for other in theirs:
        other.close()
