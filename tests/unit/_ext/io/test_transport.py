"""Transports over real loopback connections: reading, writing, pausing, ending."""

import errno
import gc
import os
import random
import socket

import pytest

from linkerd2_py._ext.core import debug
from linkerd2_py._ext.io.testing import RecorderSession, adopt
from linkerd2_py._ext.metrics import testing as door
from linkerd2_py._ext.metrics.registry import Registry
from tests.support.raw_socket import End, RawListener
from tests.support.turns import read_while_running

MIB = 1 << 20


# -- reading


def test_bytes_arrive_in_order_and_the_inbox_is_given_back(loop, pair):
    session, peer = pair()
    held = session.hold()
    peer.send(b"one")
    assert loop.run_until(lambda: session.received == b"one")
    peer.send(b"two")
    assert loop.run_until(lambda: session.received == b"onetwo")
    assert held.state()["inbox"] == -1
    assert held.state()["rx_bytes"] == 6


def test_bytes_sent_one_by_one_all_arrive(loop, pair):
    session, peer = pair()
    message = bytes(range(256))
    for index in range(len(message)):
        peer.send(message[index : index + 1])
        loop.drain()
    assert loop.run_until(lambda: session.received == message)


def test_what_a_session_leaves_stays_in_the_inbox(loop, pair):
    session, peer = pair(RecorderSession(consume=False))
    peer.send(b"head")
    assert loop.run_until(lambda: session.peek() == b"head")
    peer.send(b"tail")
    assert loop.run_until(lambda: session.peek() == b"headtail")
    session.take(2)
    assert session.peek() == b"adtail"


def test_an_inbox_short_of_room_is_compacted(loop, pair):
    def leave_some(name, session):
        if name == "readable" and len(session.peek()) > 100:
            session.take(len(session.peek()) - 10)

    session, peer = pair(RecorderSession(leave_some, consume=False))
    held = session.hold()
    message = random.Random(1).randbytes(200_000)
    for start in range(0, len(message), 1000):
        peer.send(message[start : start + 1000])
        loop.drain()
    assert loop.run_until(lambda: len(session.received) + len(session.peek()) == len(message))
    session.take()
    assert session.received == message
    assert held.state()["inbox_capacity"] == 16384


def test_a_full_inbox_stops_reading_and_a_new_session_goes_on(loop, pair):
    session, peer = pair(RecorderSession(consume=False))
    peer.send(b"x" * 20000)
    assert loop.run_until(lambda: len(session.peek()) == 16384)
    loop.run_until(lambda: False, 0.01)
    assert len(session.peek()) == 16384
    later = RecorderSession()
    session.hand_to(later)
    assert len(later.received) == 16384
    later.pause()
    later.resume()
    assert loop.run_until(lambda: len(later.received) == 20000)


def test_a_bulk_session_reads_with_a_large_buffer(loop, pair):
    session, peer = pair(RecorderSession(consume=False))
    session.configure(read_size=262144)
    held = session.hold()
    peer.send(b"x" * 1000)
    assert loop.run_until(session.peek)
    assert held.state()["inbox_capacity"] == 262144


def test_urgent_data_does_not_make_a_short_read_look_drained(loop, pair):
    session, peer = pair()
    loop.run_until(lambda: False, 0.01)
    peer.send(b"before")
    peer.sock.send(b"!", socket.MSG_OOB)
    peer.send(b"behind")
    assert loop.run_until(lambda: session.received == b"beforebehind")


def test_one_busy_connection_does_not_starve_another(loop, pair):
    busy, flood = pair()
    quiet, peer = pair()
    flood.sock.setblocking(False)

    def pour() -> None:
        try:
            while True:
                flood.sock.send(b"x" * MIB)
        except BlockingIOError:
            pass

    pour()
    peer.send(b"?")

    def reached() -> bool:
        pour()
        return bool(quiet.received)

    assert loop.run_until(reached)
    assert busy.received


# -- pausing


def test_a_paused_session_gets_nothing_until_the_last_pause_is_gone(loop, pair):
    session, peer = pair()
    session.pause("parked")
    session.pause("parked")
    session.pause("turn")
    peer.send(b"waits")
    assert not loop.run_until(lambda: session.received, 0.02)
    session.resume("parked")
    session.resume("turn")
    assert not loop.run_until(lambda: session.received, 0.02)
    session.resume("parked")
    assert session.received == b""
    assert loop.run_until(lambda: session.received == b"waits")


def test_resume_hands_over_what_was_left_in_the_inbox(loop, pair):
    session, peer = pair(RecorderSession(consume=False))
    peer.send(b"left")
    assert loop.run_until(lambda: session.peek() == b"left")
    session.pause()
    session.resume()
    session.consume = True
    assert loop.run_until(lambda: session.received == b"left")


def test_pausing_inside_on_readable_stops_the_read_at_once(loop, pair):
    session, peer = pair(RecorderSession(lambda name, s: name == "readable" and s.pause()))
    peer.send(b"x" * 200_000)
    assert loop.run_until(lambda: session.received)
    loop.run_until(lambda: False, 0.02)
    assert len(session.received) == 16384
    while len(session.received) < 200_000:
        before = len(session.received)
        session.resume()
        assert loop.run_until(lambda: len(session.received) > before)  # noqa: B023 - called before the next turn


@pytest.mark.skipif(debug.enabled(), reason="a debug build ends the process instead")
def test_resume_without_pause_is_ignored(loop, pair):
    session, peer = pair()
    session.resume()
    session.pause()
    session.resume()
    peer.send(b"x")
    assert loop.run_until(lambda: session.received)


def test_a_fin_is_told_while_reading_is_paused(loop, pair):
    session, peer = pair()
    session.pause()
    peer.half_close()
    assert loop.run_until(lambda: "read_eof" in session.names())


def test_a_fin_behind_unread_bytes_waits_for_them(loop, pair):
    session, peer = pair()
    session.pause()
    peer.send(b"last words")
    peer.half_close()
    assert not loop.run_until(lambda: "read_eof" in session.names(), 0.02)
    session.resume()
    assert loop.run_until(lambda: "read_eof" in session.names())
    assert session.received == b"last words"


def test_a_reset_is_told_at_once_while_reading_is_paused(loop, pair):
    session, peer = pair()
    session.pause()
    peer.send(b"unread")
    peer.reset()
    assert loop.run_until(lambda: ("fault", "reset", errno.ECONNRESET) in session.events)
    assert session.received == b""


def test_a_session_may_ask_for_the_bytes_before_the_reset(loop, pair):
    session, peer = pair()
    session.configure(reads_before_fault=True)
    session.pause()
    peer.send(b"unread")
    loop.run_until(lambda: False, 0.01)
    peer.reset()
    assert not loop.run_until(lambda: "fault" in session.names(), 0.02)
    session.resume()
    assert loop.run_until(lambda: "fault" in session.names())
    assert session.received == b"unread"
    assert session.names().count("fault") == 1


# -- writing


def test_small_sends_wait_for_the_flush_and_leave_no_buffer(loop, pair):
    session, peer = pair()
    held = session.hold()
    session.send(b"one", flush=False)
    session.send(b"two", flush=False)
    peer.assert_silent(for_s=0.01)
    assert held.state()["unsent"] == 6
    session.send(b"")
    assert peer.receive(6) == b"onetwo"
    assert not held.state()["outbox"]
    assert held.state()["tx_bytes"] == 6


def test_reserved_bytes_leave_at_the_end_of_the_batch(loop, pair):
    session, peer = pair()
    session.send_reserved(b"frame")
    session.send_reserved(b"frame")
    loop.drain()
    assert peer.receive(10) == b"frameframe"


def test_an_empty_commit_gives_the_buffer_back(loop, pair):
    session, _ = pair()
    session.send_reserved(b"")
    assert not session.hold().state()["outbox"]


@pytest.mark.parametrize("size", [16384, 300_000, 8 * MIB])
@pytest.mark.parametrize("before", [0, 5, 40_000])
def test_large_sends_keep_their_order_whatever_was_unsent(loop, pair, size, before):
    session, peer = pair()
    held = session.hold()
    first = random.Random(before).randbytes(before)
    second = random.Random(size).randbytes(size)
    if before:
        session.send(first, flush=False)
    session.send(second)
    session.send(b"end", flush=False)
    session.send(b"")
    assert read_while_running(loop, peer, before + size + 3) == first + second + b"end"
    assert held.state()["unsent"] == 0
    assert not held.state()["outbox"]


def test_a_slow_reader_makes_send_say_full_and_drained_follows_once(loop, pair):
    session, peer = pair()
    sent = 0
    while session.send(b"x" * 65536):
        sent += 65536
    sent += 65536
    assert "drained" not in session.names()
    assert not loop.run_until(lambda: "drained" in session.names(), 0.02)
    read_while_running(loop, peer, sent)
    assert loop.run_until(lambda: "drained" in session.names())
    assert session.names().count("drained") == 1


def test_drained_is_not_told_from_inside_a_call(loop, pair):
    session, peer = pair()
    session.configure(high_mark=10)
    assert session.send(b"x" * 20, flush=False) is False
    assert session.send(b"") is True
    assert "drained" not in session.names()
    assert loop.run_until(lambda: "drained" in session.names())
    assert peer.receive(20) == b"x" * 20


def test_try_write_keeps_nothing_and_says_when_to_go_on(loop, pair):
    session, peer = pair()
    held = session.hold()
    block = b"x" * MIB
    total = 0
    while (took := session.try_write(block)) == MIB:
        total += took
    total += took
    assert session.try_write(block) == 0
    assert held.state()["unsent"] == 0
    read_while_running(loop, peer, total)
    assert loop.run_until(lambda: "drained" in session.names())
    assert session.try_write(b"again") == 5


def test_try_write_stays_behind_unsent_bytes(loop, pair):
    session, peer = pair()
    session.send(b"first", flush=False)
    assert session.try_write(b"second") == 6
    assert peer.receive(11) == b"firstsecond"


# -- ending


def test_fin_arrives_behind_all_bytes_and_the_other_direction_lives(loop, pair):
    session, peer = pair()
    body = b"x" * (8 * MIB)
    session.send(body)
    session.shutdown_write()
    session.shutdown_write()
    assert read_while_running(loop, peer, len(body)) == body
    assert peer.receive_to_end() == (b"", End.FIN)
    peer.send(b"still here")
    assert loop.run_until(lambda: session.received == b"still here")
    peer.close()
    assert loop.run_until(lambda: "read_eof" in session.names())


def test_a_half_close_is_told_once_and_writing_goes_on(loop, pair):
    session, peer = pair()
    peer.send(b"request")
    peer.half_close()
    assert loop.run_until(lambda: "read_eof" in session.names())
    assert session.received == b"request"
    session.send(b"response")
    assert peer.receive(8) == b"response"
    session.close()
    assert peer.receive_to_end() == (b"", End.FIN)
    assert session.names().count("read_eof") == 1


def test_close_ends_with_fin_and_no_callback(loop, pair):
    session, peer = pair()
    held = session.hold()
    session.send(b"bye")
    session.close()
    held.close()
    assert peer.receive_to_end() == (b"bye", End.FIN)
    assert not session.attached
    assert session.names() == ["attached"]
    assert held.state()["dead"]


def test_too_much_unsent_is_reset_instead_of_kept(loop, pair):
    session, peer = pair()
    held = session.hold()
    for _ in range(16):
        session.send(b"x" * MIB)
    assert held.state()["unsent"] > 4 * MIB
    session.close()
    assert held.state()["dead"]
    assert peer.receive_to_end()[1] is End.RESET


def test_abort_sends_rst_whatever_was_unsent(loop, pair):
    session, peer = pair()
    held = session.hold()
    session.send(b"x", flush=False)
    session.abort()
    held.abort()
    held.close()
    assert peer.receive_to_end() == (b"", End.RESET)
    assert session.names() == ["attached"]


def test_a_reset_peer_is_told_once(loop, pair):
    session, peer = pair()
    held = session.hold()
    peer.reset()
    assert loop.run_until(lambda: not session.attached)
    assert session.events[1:] == [("fault", "reset", errno.ECONNRESET)]
    assert held.state()["dead"]
    assert not loop.run_until(lambda: len(session.events) > 2, 0.02)


def test_bytes_before_a_reset_are_handed_over_and_never_end_cleanly(loop, pair):
    session, peer = pair()
    peer.send(b"half a message")
    peer.reset()
    assert loop.run_until(lambda: "fault" in session.names())
    assert "read_eof" not in session.names()


def test_a_failed_write_is_told_from_the_loop_after_the_readable_bytes(loop, pair):
    session, peer = pair()
    loop.run_until(lambda: False, 0.01)
    peer.send(b"early answer")
    peer.reset()
    held = session.hold()
    # The kernel tells the first write; it must not tell the session from inside.
    for _ in range(3):
        session.send(b"x" * 20_000)
    assert session.names() == ["attached"]
    assert loop.run_until(lambda: not session.attached)
    assert session.received == b"early answer"
    assert session.names()[-1] == "fault"
    assert "read_eof" not in session.names()
    assert held.state()["dead"]


def test_a_failed_write_while_paused_is_told_too(loop, pair):
    session, peer = pair()
    loop.run_until(lambda: False, 0.01)
    session.pause()
    peer.reset()
    session.send(b"x")
    session.send(b"x")
    assert loop.run_until(lambda: "fault" in session.names())


def test_a_write_after_the_peer_closed_for_good_is_a_fault(loop, pair):
    session, peer = pair()
    peer.close()
    assert loop.run_until(lambda: "read_eof" in session.names())
    session.send(b"x")
    assert loop.run_until(lambda: "fault" in session.names())


def test_the_session_may_close_inside_any_call(loop, pair):
    for moment in ("attached", "readable", "read_eof"):
        session, peer = pair(RecorderSession(lambda name, s, at=moment: name == at and s.close()))
        if moment != "attached":
            peer.send(b"x")
            peer.half_close()
        assert loop.run_until(lambda: not session.attached)  # noqa: B023 - called before the next turn
        peer.close()
    assert loop.run_until(lambda: loop.stats()["sources"] == 0)


def test_the_session_may_abort_inside_drained(loop, pair):
    session, peer = pair(RecorderSession(lambda name, s: name == "drained" and s.abort()))
    session.configure(high_mark=10)
    session.send(b"x" * 20, flush=False)
    session.send(b"")
    assert loop.run_until(lambda: not session.attached)
    assert peer.receive_to_end()[1] is End.RESET


def test_a_session_that_raises_is_reset_told_and_the_loop_goes_on(loop, pair, failures):
    def fail(name: str, session: RecorderSession) -> None:
        if name == "readable":
            raise LookupError("mine")

    bad, bad_peer = pair(RecorderSession(fail))
    good, good_peer = pair()
    bad_peer.send(b"x")
    good_peer.send(b"x")
    assert loop.run_until(lambda: good.received and not bad.attached)
    assert bad.events[-1] == ("fault", "io", 0)
    assert bad_peer.receive_to_end()[1] is End.RESET
    assert [failure.split(": ")[1] for failure in failures] == ["LookupError('mine')"]
    failures.clear()


def test_a_session_that_raises_in_its_fault_too_is_reported_twice(loop, pair, failures):
    def fail(name: str, session: RecorderSession) -> None:
        if name in ("readable", "fault"):
            raise LookupError(name)

    session, peer = pair(RecorderSession(fail))
    peer.send(b"x")
    assert loop.run_until(lambda: not session.attached)
    assert len(failures) == 2
    failures.clear()


# -- sessions in turn


def test_a_new_session_finds_the_bytes_the_first_one_left(loop, pair):
    second = RecorderSession()

    def decide(name: str, session: RecorderSession) -> None:
        if name == "readable" and len(session.peek()) >= 4:
            session.hand_to(second)

    first, peer = pair(RecorderSession(decide, consume=False))
    for byte in b"GET / HTTP/1.1":
        peer.send(bytes([byte]))
        loop.drain()
    assert loop.run_until(lambda: second.received == b"GET / HTTP/1.1")
    assert not first.attached
    assert second.names()[0] == "attached"


def test_attaching_to_a_dead_transport_is_told_as_a_fault(loop, pair):
    session, _ = pair()
    held = session.hold()
    held.abort()
    late = RecorderSession()
    held.attach(late)
    assert late.events == []
    assert loop.run_until(lambda: late.events == [("fault", "local", 0)])


def test_cycles_are_broken_without_the_collector(loop, pair):
    gc.disable()
    try:
        before = debug.counts()
        for how in ("close", "abort", "hand_to"):
            session, peer = pair()
            if how == "hand_to":
                session.hand_to(RecorderSession(lambda n, s: n == "read_eof" and s.close()))
            else:
                getattr(session, how)()
            peer.close()
            del session
        assert loop.run_until(lambda: loop.stats()["sources"] == 0)
        assert debug.counts() == before
    finally:
        gc.enable()


def test_adopted_sockets_do_not_delay(loop, pair):
    session, _ = pair()
    with socket.socket(fileno=os.dup(session.hold().state()["fd"])) as probe:
        assert probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    session.abort()


def test_a_closed_loop_takes_no_transport(pair):
    from linkerd2_py._ext.io.loop import Loop

    loop = Loop()
    loop.close()
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(RuntimeError, match="closed"):
        adopt(loop, ours.detach(), RecorderSession())


# -- counting


def test_opens_bytes_and_the_reason_of_the_close_are_counted(loop):
    registry = Registry()
    metrics = door.tcp(registry, b"")
    for end in ("fin", "reset"):
        ours, theirs = socket.socket(), None
        with RawListener() as server:
            ours.connect(server.address)
            theirs = server.accept()
        ours.setblocking(False)
        session = RecorderSession(lambda name, s: name == "read_eof" and s.close())
        adopt(loop, ours.detach(), session, metrics)
        theirs.send(b"12345")
        assert loop.run_until(lambda: session.received == b"12345")  # noqa: B023 - called before the next turn
        session.send(b"123")
        assert theirs.receive(3) == b"123"
        theirs.close() if end == "fin" else theirs.reset()
        assert loop.run_until(lambda: not session.attached)  # noqa: B023 - called before the next turn
    text = b"".join(registry.render(0)).decode()
    found = {
        line.split()[0]: line.split()[1] for line in text.splitlines() if not line.startswith("#")
    }
    assert found["tcp_open_total"] == "2"
    assert found["tcp_open_connections"] == "0"
    assert found["tcp_read_bytes_total"] == "10"
    assert found["tcp_write_bytes_total"] == "6"
    closes = {name: count for name, count in found.items() if name.startswith("tcp_close_total")}
    assert sum(map(int, closes.values())) == 2
    assert any("ECONNRESET" in name for name in closes)
