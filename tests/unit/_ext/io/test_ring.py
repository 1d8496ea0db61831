"""Batches: many transports read and write in one system call, with the meaning of one call each."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import RecorderSession, adopt
from tests.support.raw_socket import RawConnection
from tests.support.turns import settle

Pair = Callable[..., tuple[RecorderSession, RawConnection]]
MANY = 150  # more than two batches


def echo(name: str, session: RecorderSession) -> None:
    if name == "readable":
        session.send_reserved(session.events[-1][1])


def test_many_are_read_and_answered_together(loop: Loop, pair: Pair) -> None:
    ends = [pair(RecorderSession(echo)) for _ in range(MANY)]
    for number, (_, peer) in enumerate(ends):
        peer.send(b"message %d" % number)
    settle(loop)
    for number, (session, peer) in enumerate(ends):
        text = b"message %d" % number
        assert [event for event in session.events if event[0] == "readable"] == [("readable", text)]
        assert peer.receive(len(text)) == text
    # Each of them read once and wrote once, nearly all in company.
    shared = loop.stats()["shared_calls"]
    assert shared >= 2 * MANY - 4 if loop.stats()["io_uring"] else shared == 0


def test_one_alone_makes_its_own_calls(loop: Loop, pair: Pair) -> None:
    session, peer = pair(RecorderSession(echo))
    peer.send(b"alone")
    settle(loop)
    assert peer.receive(5) == b"alone"
    assert session.received == b"alone"
    assert loop.stats()["shared_calls"] == 0


def test_what_was_read_for_one_that_another_pauses_is_kept(loop: Loop, pair: Pair) -> None:
    ends = [pair() for _ in range(2)]

    def pause_other(name: str, session: RecorderSession) -> None:
        other = ends[1][0] if session is ends[0][0] else ends[0][0]
        if name == "readable" and other.attached and not other.received:
            other.pause("peer_full")

    for session, peer in ends:
        session.hook = pause_other
        peer.send(b"word")
    settle(loop)
    told = [session for session, _ in ends if session.received]
    assert len(told) == 1
    waiting = next(session for session, _ in ends if session is not told[0])
    waiting.resume("peer_full")
    settle(loop)
    assert waiting.received == b"word"


def test_one_that_another_ends_is_told_nothing(loop: Loop, pair: Pair) -> None:
    ends = [pair() for _ in range(3)]

    def end_others(name: str, session: RecorderSession) -> None:
        for other, _ in ends:
            if name == "readable" and other is not session and other.attached:
                other.abort()

    for session, peer in ends:
        session.hook = end_others
        peer.send(b"word")
    settle(loop)
    assert sorted(len(session.received) for session, _ in ends) == [0, 0, 4]


def test_a_full_socket_in_a_batch_goes_on_when_there_is_room(loop: Loop, pair: Pair) -> None:
    ends = [pair() for _ in range(3)]
    size = 8 << 20
    contents = [b"small", bytes(range(256)) * (size // 256), b"other"]
    for (session, _), content in zip(ends, contents, strict=True):
        for at in range(0, len(content), 15_000):
            session.send(content[at : at + 15_000], flush=False)
        session.send_reserved(b".")
    settle(loop)
    assert ends[0][1].receive(6) == b"small."
    assert ends[2][1].receive(6) == b"other."
    peer = ends[1][1]
    peer.sock.setblocking(False)
    got = bytearray()

    def take() -> bool:
        try:
            while piece := peer.sock.recv(1 << 20):
                got.extend(piece)
        except BlockingIOError:
            pass
        return len(got) > size

    assert loop.run_until(take, 20.0)
    assert got == contents[1] + b"."


def test_an_error_of_a_batched_read_ends_the_connection_with_that_error(
    loop: Loop, pair: Pair
) -> None:
    session, peer = pair()
    session.be_told(-errno.ECONNRESET)
    # The kernel tells an error once: what it says afterwards looks like a clean end.
    peer.half_close()
    settle(loop)
    assert session.events[-1] == ("fault", "reset", errno.ECONNRESET)


@pytest.mark.parametrize("outcome", [0, -errno.EAGAIN, -errno.EINTR])
def test_other_outcomes_of_a_batched_read_lose_nothing(
    loop: Loop, pair: Pair, outcome: int
) -> None:
    session, peer = pair()
    session.be_told(outcome)
    peer.send(b"later")
    settle(loop)
    assert session.received == b"later"
    peer.half_close()
    settle(loop)
    assert session.names()[-1] == "read_eof"


def test_a_ring_that_fails_is_given_up_and_no_byte_is_lost() -> None:
    before = open_rings()
    loop = Loop()
    if not loop.stats()["io_uring"]:
        loop.close()
        pytest.skip("the kernel offers no io_uring")
    # Something else takes the place of the kernel's ring: every call on it fails from now on.
    (ring,) = open_rings() - before
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, ring)
    os.close(null)
    ends = [socket.socketpair() for _ in range(MANY)]
    for ours, theirs in ends:
        ours.setblocking(False)
        adopt(loop, ours.detach(), RecorderSession(echo))
        theirs.send(b"again")
    settle(loop)
    for _, theirs in ends:
        assert theirs.recv(10) == b"again"
        theirs.close()
    assert not loop.stats()["io_uring"]
    loop.close()


def open_rings() -> set[int]:
    """Descriptors of this process that are io_uring's."""
    names = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            names[int(entry.name)] = str(entry.readlink())
        except OSError:
            continue
    return {fd for fd, name in names.items() if "io_uring" in name}
