"""TLS over real sockets: what has no counterpart on a plain transport."""

import contextlib
import errno
import os
import random
import socket
import ssl

import pytest

from linkerd2_py._ext.core import debug
from linkerd2_py._ext.core.testing import LARGE
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.testing import RecorderSession, adopt
from linkerd2_py._ext.tls.testing import MemoryChannel, be_told, connect_secure, state_of
from tests.support.memory_tls import read_all
from tests.support.raw_socket import End, RawConnection, RawListener
from tests.support.tls_socket import TlsConnection
from tests.support.wait import patience

RESET = ("fault", "reset", errno.ECONNRESET)
BROKEN = ("fault", "tls", errno.EPROTO)
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
    raw.sock.settimeout(5 * patience())
    return channel, raw


class Sender:
    """Sends content in pieces, no further than it may: the hook of a session."""

    def __init__(self) -> None:
        self.most = 0
        self._content = b""

    def start(self, session: RecorderSession, content: bytes) -> None:
        self._content = content
        self("drained", session)

    def __call__(self, name: str, session: RecorderSession) -> None:
        while name == "drained" and self._content:
            piece, self._content = self._content[:30_000], self._content[30_000:]
            if not session.send(piece):
                self.most = max(self.most, session.hold().state()["unsent"])
                return


def shrink(session: RecorderSession, peer: TlsConnection) -> None:
    """Socket buffers that hold a few records. (With less room for receiving TCP itself waits for
    its timers.)
    """
    with socket.socket(fileno=os.dup(session.hold().state()["fd"])) as ours:
        for sock in (ours, peer.plain):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)


def record_sizes(loop, peer, plaintext) -> list[int]:
    """Bytes of plaintext in each record that comes, until there are so many."""
    wire = bytearray()
    sizes: list[int] = []
    peer.plain.setblocking(False)

    def enough() -> bool:
        with contextlib.suppress(BlockingIOError):
            wire.extend(peer.plain.recv(MIB))
        while len(wire) >= 5 and len(wire) >= (size := 5 + int.from_bytes(wire[3:5])):
            sizes.append(size - 22)
            del wire[:size]
        return sum(sizes) >= plaintext

    assert loop.run_until(enough), sizes
    return sizes


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


def test_an_end_without_a_fin_is_an_end(loop, pair):
    session, peer = pair()
    peer.send(b"all of it")
    peer.sock.say_goodbye()
    assert loop.run_until(lambda: "read_eof" in session.names())
    assert session.received == b"all of it"
    session.send(b"thanks")
    assert peer.receive(6) == b"thanks"


def test_nothing_behind_the_end_is_read(loop, pair):
    session, peer = pair()
    peer.sock.say_goodbye()
    peer.plain.send(b"\x17\x03\x03\x00\x13" + bytes(19))
    assert loop.run_until(lambda: "read_eof" in session.names())
    peer.truncate()
    assert not loop.run_until(lambda: not session.attached, 0.02)
    assert session.received == b""


def test_an_abort_after_our_end_is_still_a_reset(loop, pair):
    session, peer = pair()
    session.send(b"x")
    session.shutdown_write()
    assert peer.receive_to_end() == (b"x", End.FIN)
    session.abort()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            peer.plain.send(b"x")


def test_a_cut_end_is_told_while_reading_is_paused(loop, pair):
    session, peer = pair()
    session.pause()
    peer.truncate()
    assert loop.run_until(lambda: not session.attached)
    assert session.events[-1] == RESET


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_record_that_is_cut_is_told_while_reading_is_paused(loop, pair, cut):
    session, peer = pair()
    session.pause()
    peer.plain.send(peer.sock.encrypt(b"half a message")[:cut])
    loop.run_until(lambda: False, 0.01)
    peer.truncate()
    assert loop.run_until(lambda: not session.attached)
    assert session.events[-1] == RESET


def test_a_cut_end_behind_unread_bytes_waits_for_them(loop, pair):
    session, peer = pair()
    session.pause()
    peer.send(b"last words")
    peer.truncate()
    assert not loop.run_until(lambda: not session.attached, 0.02)
    session.resume()
    assert loop.run_until(lambda: not session.attached)
    assert session.received == b"last words"
    assert session.events[-1] == RESET


@pytest.mark.parametrize("before", [b"", b"good"])
@pytest.mark.parametrize("paused", [False, True])
def test_a_broken_record_is_a_fault_behind_the_bytes(loop, pair, before, paused):
    session, peer = pair()
    if paused:
        session.pause()
    wire = peer.sock.encrypt(before) if before else b""
    bad = bytearray(peer.sock.encrypt(b"bad"))
    bad[-1] ^= 1
    peer.plain.send(wire + bad)
    if paused:
        loop.run_until(lambda: False, 0.01)
        session.resume()
    assert loop.run_until(lambda: not session.attached)
    assert session.received == before
    assert session.events[-1] == BROKEN


def test_garbage_behind_a_handshake_is_a_fault_and_answered_with_an_alert(loop, pair):
    session, peer = pair()
    held = session.hold()
    peer.plain.send(b"GET / HTTP/1.1\r\n\r\n")
    assert loop.run_until(lambda: not session.attached)
    assert session.events[1:] == [BROKEN]
    assert held.state()["dead"]
    with pytest.raises(ssl.SSLError, match="alert"):
        peer.receive(1)


def test_a_session_that_sends_behind_a_fault_is_told_once(loop, pair):
    def answer(name: str, session: RecorderSession) -> None:
        if name == "readable":
            session.send(b"x" * 100_000)

    session, peer = pair(RecorderSession(answer))
    bad = bytearray(peer.sock.encrypt(b"bad"))
    bad[-1] ^= 1
    peer.plain.send(bytes(bad))
    assert loop.run_until(lambda: not session.attached)
    assert session.names() == ["attached", "fault"]


def test_a_cut_end_while_lingering_ends_the_lingering(loop, pair):
    session, peer = pair()
    session.configure(linger_for_input=True)
    held = session.hold()
    session.close()
    assert held.state()["lingering"]
    peer.truncate()
    assert loop.run_until(lambda: held.state()["dead"])


# -- records that are not for the session


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


def test_a_flood_of_key_updates_while_we_cannot_send_is_a_fault(loop, voting, web):
    session = RecorderSession()
    channel, raw = serve_channel(loop, web, session, voting)
    while session.try_write(b"x" * MIB):
        pass
    before = debug.counts()["buffer"]
    for _ in range(3000):
        channel.update_keys(both=True)
    raw.send(channel.said())
    assert loop.run_until(lambda: not session.attached)
    assert session.events[-1] == BROKEN
    assert debug.counts()["buffer"] <= before
    raw.close()


def test_new_keys_are_answered_with_what_is_sent_next(loop, voting, web):
    session = RecorderSession()
    channel, raw = serve_channel(loop, web, session, voting)
    for size in (1, 5, 100_000):
        channel.update_keys(both=True)
        channel.write(b"?")
        raw.send(channel.said())
        seen = len(session.received) + 1
        assert loop.run_until(lambda: len(session.received) == seen)  # noqa: B023 - called before the next turn
        session.send(b"x" * size)
        got = bytearray()
        while len(got) < size:
            channel.feed(raw.sock.recv(MIB))
            got += read_all(channel)[0]
            loop.drain()
        assert bytes(got) == b"x" * size
    session.abort()
    raw.close()


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


@pytest.mark.parametrize("size", [1, 15_360, 15_361, 16_384, 300_000])
def test_what_was_not_taken_is_offered_again_and_arrives_once(loop, pair, size):
    session, peer = pair()
    sent = bytearray()
    source = random.Random(size)
    block = source.randbytes(size)
    while (took := session.try_write(block)) == len(block):
        sent += block
        block = source.randbytes(size)
    # Refused while the socket is full; nothing is kept that counts as sent.
    sent += block[:took]
    block = block[took:]
    assert session.try_write(block) == 0
    assert session.hold().state()["unsent"] == 0
    assert state_of(session)["sealed"] > 0
    peer.sock.setblocking(False)
    got = bytearray()

    def pass_on() -> bool:
        nonlocal block
        with contextlib.suppress(BlockingIOError):
            while piece := peer.sock.recv(MIB):
                got.extend(piece)
        if "drained" in session.names() and block:
            took = session.try_write(block)
            sent.extend(block[:took])
            block = block[took:]
        return not block and len(got) == len(sent)

    assert loop.run_until(pass_on), (len(got), len(sent))
    assert got == sent
    assert state_of(session) == {"arrived": 0, "sealed": 0, "sealed_plain": 0}


@pytest.mark.parametrize("size", [1, 16_384, 100_000])
def test_what_is_sent_while_reading_leaves_alone_what_was_received(loop, pair, size):
    """Ciphertext of the next record is here already when the session answers the first."""
    content = random.Random(size).randbytes(200_000)

    def answer(name: str, session: RecorderSession) -> None:
        if name == "readable":
            session.send(b"x" * size)

    session, peer = pair(RecorderSession(answer))
    session.configure(high_mark=1 << 30)
    peer.sock.setblocking(False)
    at = 0

    def step() -> bool:
        nonlocal at
        with contextlib.suppress(BlockingIOError):
            while at < len(content):
                at += peer.sock.send(content[at : at + 16_384])
        with contextlib.suppress(BlockingIOError):
            while peer.sock.recv(MIB):
                pass
        return len(session.received) == len(content)

    assert loop.run_until(step), session.events[-1]
    assert session.received == content


@pytest.mark.parametrize("how", ["send", "try_write", "send_reserved", "shutdown_write"])
def test_what_is_sent_while_reading_is_paused_leaves_alone_what_was_received(loop, pair, how):
    session, peer = pair(RecorderSession(lambda name, s: name == "readable" and s.pause()))
    content = random.Random(1).randbytes(60_000)
    peer.send(content)
    assert loop.run_until(lambda: session.received)
    assert state_of(session)["arrived"] > 0
    if how == "shutdown_write":
        session.shutdown_write()
    else:
        getattr(session, how)(b"answer")
        loop.drain()
        assert peer.receive(6) == b"answer"
    while len(session.received) < len(content):
        before = len(session.received)
        session.resume()
        assert loop.run_until(lambda: len(session.received) > before)  # noqa: B023 - called before the next turn
    assert session.received == content


def test_small_records_go_first_and_large_ones_in_bulk(loop, pair):
    session, peer = pair()
    session.send(b"x" * 200_000)
    session.send(b"y" * 100, flush=False)
    session.send(b"")
    sizes = record_sizes(loop, peer, 300_100 - 100_000)
    assert sizes[:8] == [4096] * 8
    assert set(sizes[8:-2]) == {16_384}
    assert sum(sizes) == 200_100


def test_an_idle_connection_holds_no_buffer(loop, pair):
    session, peer = pair()
    held = session.hold()
    for size in (1, 100_000):
        peer.send(b"x" * size)
        assert loop.run_until(lambda: held.state()["rx_bytes"] >= size)  # noqa: B023 - called before the next turn
        session.send(b"x" * size)
        assert peer.receive(size)
    assert state_of(session) == {"arrived": 0, "sealed": 0, "sealed_plain": 0}
    assert (held.state()["inbox"], held.state()["outbox"]) == (-1, False)


@pytest.mark.parametrize("piece", [1, 7, 1000, 16_384 + 22])
def test_records_may_come_in_pieces_of_any_size(loop, pair, piece):
    session, peer = pair()
    body = random.Random(piece).randbytes(3000 if piece < 1000 else 40_000)
    wire = peer.sock.encrypt(body)
    for at in range(0, len(wire), piece):
        peer.plain.send(wire[at : at + piece])
        loop.drain()
    assert loop.run_until(lambda: session.received == body)


def test_ten_megabytes_both_ways_through_small_sockets(loop, pairs):
    session = RecorderSession(on_drained := Sender())
    session, peer = pairs.serving(session)
    shrink(session, peer)
    down, up = random.Random(1).randbytes(10 * MIB), random.Random(2).randbytes(10 * MIB)
    on_drained.start(session, down)
    peer.sock.setblocking(False)
    got = bytearray()
    offered = 0

    def step() -> bool:
        nonlocal offered
        with contextlib.suppress(BlockingIOError):
            while offered < len(up):
                offered += peer.sock.send(up[offered : offered + 16_384])
        with contextlib.suppress(BlockingIOError):
            while piece := peer.sock.recv(MIB):
                got.extend(piece)
        return len(got) == len(down) and len(session.received) == len(up)

    # The peer is driven between two turns: waiting for our own descriptors would leave it idle.
    turns = 0
    while not step():
        loop.drain()
        turns += 1
        assert turns < 10_000_000, (len(got), len(session.received))
    assert got == down
    assert session.received == up
    assert on_drained.most <= 65536 + 262_144
