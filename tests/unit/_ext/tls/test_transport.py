"""TLS over real sockets: what has no counterpart on a plain transport."""

import contextlib
import errno
import os
import random
import socket
from dataclasses import dataclass

import pytest

from linkerd2_py._ext.core.testing import LARGE
from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.testing import RecorderSession, adopt
from linkerd2_py._ext.io.transport import Address
from linkerd2_py._ext.tls.testing import AcceptSecure, MemoryChannel, be_told, connect_secure
from tests.support.raw_socket import End, RawConnection, RawListener
from tests.support.tls_socket import TlsConnection
from tests.support.workloads import name_of

RESET = ("fault", "reset", errno.ECONNRESET)
MIB = 1 << 20


def read_to_end(loop, peer) -> bytes:
    """All that comes, while the loop runs; the end must be a clean one."""
    peer.sock.setblocking(False)
    got = bytearray()

    def ended() -> bool:
        try:
            while piece := peer.sock.recv(MIB):
                got.extend(piece)
        except BlockingIOError:
            return False
        return True

    assert loop.run_until(ended), len(got)
    return bytes(got)


def serve_channel(loop, ours, session, theirs) -> tuple[MemoryChannel, RawConnection]:
    """A connection of `session` whose server is a channel in the test's hands."""
    caller = RecorderSession(lambda name, s: name == "connected" and s.hand_to(session))
    with RawListener() as listener:
        connect_secure(
            loop,
            Address(*listener.address),
            caller,
            credentials=ours,
            server_name=theirs.name,
        )
        raw = listener.accept()
    channel = MemoryChannel(theirs)
    raw.sock.setblocking(False)

    def shook() -> bool:
        with contextlib.suppress(BlockingIOError):
            channel.feed(raw.sock.recv(MIB))
        done = channel.handshake() == "done"
        raw.send(channel.said())
        return done and session.attached

    assert loop.run_until(shook), caller.events
    raw.sock.settimeout(5)
    return channel, raw


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


def test_an_end_that_finds_the_socket_full_is_still_clean(loop, pair):
    session, peer = pair()
    held = session.hold()
    while session.try_write(b"x" * MIB):
        pass
    session.close()
    assert held.state()["lingering"]
    assert set(read_to_end(loop, peer)) == {ord("x")}
    assert loop.run_until(lambda: held.state()["dead"])


def test_the_kernels_error_is_told_and_not_the_fin_that_it_leaves(loop, pair):
    session, peer = pair()
    be_told(session, -errno.ETIMEDOUT)
    peer.truncate()
    assert loop.run_until(lambda: not session.attached)
    assert session.events[-1] == ("fault", "timeout", errno.ETIMEDOUT)


# -- while the handshake runs


@pytest.fixture
def door(loop, voting):
    """A server, and how far it got."""
    return AcceptSecure(lambda: voting, RecorderSession)


@dataclass(frozen=True, slots=True)
class HalfSaid:
    """A client, and what is missing of its hello."""

    peer: TlsConnection
    rest: bytes

    def go_on(self) -> None:
        self.peer.plain.send(self.rest)


@pytest.fixture
def client(loop, door, strangers):
    """A client of it that has said half a hello."""
    listener = Listener(loop, ("127.0.0.1", 0), door)
    raw = RawConnection.connect(("127.0.0.1", listener.address.port))
    peer = TlsConnection.over(raw.sock, strangers.web, server_name=name_of("voting"))
    hello = peer.sock.hello()
    peer.plain.send(hello[:100])
    assert loop.run_until(lambda: door.under_way)
    listener.close()
    yield HalfSaid(peer, hello[100:])
    peer.close()


@pytest.mark.parametrize("unsent", [b"", b"unsent"])
def test_a_server_may_close_while_the_handshake_runs(loop, door, client, unsent):
    door.under_way[0].send(unsent)
    door.under_way[0].close()
    client.go_on()
    loop.run_until(lambda: False, 0.01)
    assert loop.stats()["sources"] == 0
    with contextlib.suppress(ConnectionResetError):
        assert client.peer.plain.recv(100) == b""
    assert door.secured == []


def test_bytes_sent_while_the_handshake_runs_follow_it(loop, door, client):
    door.under_way[0].send(b"220 ready")
    client.go_on()
    assert loop.run_until(client.peer.sock.shake)
    assert loop.run_until(lambda: door.secured)
    assert client.peer.receive(9) == b"220 ready"


def test_an_end_said_while_the_handshake_runs_follows_it(loop, door, client):
    door.under_way[0].shutdown_write()
    client.go_on()
    assert loop.run_until(client.peer.sock.shake)
    assert loop.run_until(lambda: door.secured)
    assert client.peer.receive_to_end() == (b"", End.FIN)


# -- fairness


def test_a_peer_that_only_changes_its_keys_does_not_starve_another(loop, pair, voting, web):
    order: list[bytes] = []
    _quiet, other = pair(RecorderSession(lambda name, s: name == "readable" and order.append(b"?")))
    flooded = RecorderSession(lambda name, s: name == "readable" and order.append(b"end"))
    channel, raw = serve_channel(loop, web, flooded, voting)
    # All of it is to be in the kernel before we read.
    with socket.socket(fileno=os.dup(flooded.hold().state()["fd"])) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
    for _ in range(5000):
        channel.update_keys()
    channel.write(b"end")
    raw.send(channel.said())
    other.send(b"?")
    assert loop.run_until(lambda: len(order) == 2)
    assert order == [b"?", b"end"]
    raw.close()


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
