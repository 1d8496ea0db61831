"""One endpoint: who gets which connection, who waits and for how long, and when it counts as failing."""

import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from linkerd2_py._ext.balance.accrual import Accrual
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.pool.testing import Asker, Door
from tests.support.endpoint_rig import MS, Rig, arrived
from tests.support.http2_script import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    SETTINGS,
    frame,
    settings,
)
from tests.support.raw_socket import End, RawListener
from tests.support.turns import settle

# In HPACK
STATUS_200 = b"\x88"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


# ---- being ready


def test_a_balanced_endpoint_is_ready_once_it_was_reached(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener)
    assert door.told == []
    rig.until(lambda: door.told)
    assert door.told == ["ready"]
    rig.accept(listener)


def test_an_opaque_one_is_trusted_unseen(rig: Rig, nobody: tuple[str, int]) -> None:
    door = rig.door(nobody, opaque=True)
    assert door.told == ["ready"]
    assert door.state()["dialing"] == 0


def test_one_alone_is_not_called_before_it_is_needed(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, alone=True)
    assert door.state()["dialing"] == 0
    asker = door.ask()
    rig.until(lambda: asker.events)
    # Nobody balances it, so nobody is told.
    assert door.told == []
    rig.accept(listener)


def test_a_refused_probe_makes_it_failing_until_a_later_one_is_answered(rig: Rig) -> None:
    with RawListener() as first:
        where = first.address
    door = rig.door(where, backoff_min_ns=5 * MS, backoff_max_ns=20 * MS)
    rig.until(lambda: door.state()["failures"] >= 2)
    assert door.told == ["failing"]
    with rebound(where) as listener:
        rig.until(lambda: door.state()["ready"])
        assert door.told == ["failing", "ready"]
        assert door.state()["failures"] == 0
        rig.accept(listener)


def rebound(where: tuple[str, int]) -> RawListener:
    """A listener at an address that was free a moment ago."""
    listener = RawListener.__new__(RawListener)
    listener.sock = socket.create_server(where)
    listener.sock.settimeout(10.0)
    return listener


def test_the_target_hears_of_a_failure_before_those_who_waited(
    rig: Rig, nobody: tuple[str, int]
) -> None:
    door = rig.door(nobody, opaque=True)
    heard: list[list[str]] = []
    asker = door.ask()
    rig.until(lambda: asker.events and (heard.append(list(door.told)) or True))
    assert asker.events == [("failed", "connection refused")]
    assert heard[0] == ["ready", "failing"]


# ---- with few descriptors


@contextmanager
def descriptors(most: int) -> Iterator[None]:
    """The process may open no more meanwhile (nor may who looks at the machine's load, as `rig.until` does); a
    loop that is made then goes by it for its life.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def few(most: int) -> Iterator[Rig]:
    with descriptors(most):
        loop = Loop()
    rig = Rig(loop)
    try:
        yield rig
    finally:
        rig.close()
        loop.close()


def test_half_of_all_descriptors_are_left_to_those_who_wait(listener: RawListener) -> None:
    """The other endpoints are trusted unseen."""
    with few(128) as rig:
        doors = [rig.door(listener) for _ in range(128)]
        rig.until(lambda: all(door.state()["ready"] for door in doors))
        assert sum(door.state()["spare"] for door in doors) == 64
        assert all(door.told == ["ready"] for door in doors)
        asker = doors[-1].ask()
        rig.until(lambda: asker.events)
        assert asker.events == [("stream", "new")]


def test_beyond_three_quarters_no_connection_is_kept(listener: RawListener) -> None:
    with few(128) as rig:
        door = rig.door(listener, alone=True, max_dials=128)
        askers = [door.ask() for _ in range(98)]
        rig.until(lambda: all(asker.events for asker in askers))
        links = [rig.accept(listener) for _ in askers]
        pairs = list(zip(askers, links, strict=True))
        for asker, link in pairs[:3]:
            rig.answer(asker, link)
            rig.until(lambda link=link: arrived(link))
            assert link.receive_to_end() == (b"", End.FIN)
            left = rig.loop.stats()["sources"] - 1
            link.close()
            rig.until(lambda left=left: rig.loop.stats()["sources"] == left)
        assert door.state()["idle"] == 0
        for asker, link in pairs[3:]:
            rig.answer(asker, link)
        assert door.state()["idle"] == len(pairs[3:])


def test_without_a_descriptor_nothing_is_learned_of_an_endpoint(
    rig: Rig, listener: RawListener
) -> None:
    with descriptors(0):
        door = rig.door(listener)
        assert rig.loop.run_until(lambda: door.told)
        asker = door.ask()
        assert rig.loop.run_until(lambda: asker.events)
    assert asker.events == [("failed", "out of file descriptors")]
    assert door.told == ["ready"]
    again = door.ask()
    rig.until(lambda: again.events)
    assert again.events == [("stream", "new")]


def test_one_that_fails_is_not_ready_for_want_of_descriptors(
    rig: Rig, nobody: tuple[str, int]
) -> None:
    door = rig.door(nobody, backoff_min_ns=MS, backoff_max_ns=5 * MS)
    rig.until(lambda: door.state()["failures"] >= 1)
    with descriptors(0):
        failures = door.state()["failures"]
        assert rig.loop.run_until(lambda: door.state()["failures"] >= failures + 2)
    assert door.told == ["failing"]


# ---- HTTP/1: kept and new connections


def test_a_connection_is_kept_and_used_again(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, alone=True)
    first = door.ask()
    rig.until(lambda: first.events)
    link = rig.accept(listener)
    rig.answer(first, link)
    second = door.ask()
    assert second.events == [("stream", "kept")]
    rig.answer(second, link)
    assert door.state()["idle"] == 1


def test_the_most_recently_used_one_is_taken(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, alone=True)
    askers = [door.ask(), door.ask()]
    rig.until(lambda: all(asker.events for asker in askers))
    links = [rig.accept(listener), rig.accept(listener)]
    for asker in askers:
        asker.get()
    rig.until(lambda: all(arrived(link) for link in links))
    for link in links:
        link.receive_until(b"\r\n\r\n")
        link.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        count = links.index(link) + 1
        rig.until(lambda count=count: door.state()["idle"] == count)
    third = door.ask()
    third.get()
    rig.until(lambda: arrived(links[1]))
    assert not arrived(links[0])


def test_who_asks_for_a_fresh_one_gets_no_kept_one(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, alone=True)
    first = door.ask()
    rig.until(lambda: first.events)
    rig.answer(first, rig.accept(listener))
    again = door.ask(fresh_since=door.now())
    assert again.events == []
    rig.until(lambda: again.events)
    assert again.events == [("stream", "new")]
    rig.answer(again, rig.accept(listener))


def test_no_more_are_kept_than_may_be(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, alone=True, http1_max_idle=1)
    askers = [door.ask(), door.ask()]
    rig.until(lambda: all(asker.events for asker in askers))
    links = [rig.accept(listener), rig.accept(listener)]
    for asker in askers:
        asker.get()
    rig.until(lambda: all(arrived(link) for link in links))
    for link in links:
        link.receive_until(b"\r\n\r\n")
        link.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    rig.until(lambda: any(arrived(link) for link in links))
    assert door.state()["idle"] == 1


def test_what_nobody_uses_for_the_idle_time_is_closed(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, alone=True, http1_idle_ns=20 * MS)
    asker = door.ask()
    rig.until(lambda: asker.events)
    link = rig.accept(listener)
    rig.answer(asker, link)
    rig.until(lambda: arrived(link))
    assert link.sock.recv(1) == b""
    assert door.state()["idle"] == 0


def test_one_that_its_endpoint_has_closed_is_not_used_again(
    rig: Rig, listener: RawListener
) -> None:
    door = rig.door(listener, alone=True)
    asker = door.ask()
    rig.until(lambda: asker.events)
    link = rig.accept(listener)
    rig.answer(asker, link)
    link.half_close()
    rig.until(lambda: not door.state()["idle"])
    again = door.ask()
    rig.until(lambda: again.events)
    assert again.events == [("stream", "new")]
    rig.answer(again, rig.accept(listener))


# ---- waiting


def test_dials_are_bounded_and_a_connection_that_comes_back_serves_who_waits(
    rig: Rig, listener: RawListener
) -> None:
    door = rig.door(listener, alone=True, max_dials=1)
    first, second, third = door.ask(), door.ask(), door.ask()
    assert door.state()["dialing"] == 1
    assert door.state()["waiting"] == 3
    rig.until(lambda: third.events)
    # One dial after the other, in the order of asking.
    assert [asker.events for asker in (first, second, third)] == [[("stream", "new")]] * 3
    for _ in range(3):
        rig.accept(listener)


def test_a_full_queue_sheds(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, alone=True, queue_capacity=1)
    first, second = door.ask(), door.ask()
    assert first.events == []
    kind, status, text = second.events[0]
    assert (kind, status) == ("unavailable", 503)
    assert b"wait for a connection" in text
    rig.until(lambda: first.events)
    rig.accept(listener)


def test_who_withdraws_is_told_nothing(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, alone=True)
    asker, other = door.ask(), door.ask()
    door.withdraw(asker)
    door.withdraw(asker)
    rig.until(lambda: other.events)
    rig.until(lambda: door.state()["dialing"] == 0)
    assert asker.events == []
    assert door.state()["waiting"] == 0


def test_waiting_has_an_end(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, alone=True, failfast_ns=30 * MS)
    first = door.ask("http2")
    rig.until(lambda: first.events)
    # It never says how many streams it takes.
    second = door.ask("http2")
    rig.until(lambda: second.events)
    assert second.events == [
        ("unavailable", 504, b"the endpoint gave no connection or stream in time")
    ]
    rig.accept(listener)


# ---- HTTP/2


def test_before_its_settings_a_connection_carries_one_stream(
    rig: Rig, listener: RawListener
) -> None:
    door = rig.door(listener, alone=True)
    first, second = door.ask("http2"), door.ask("http2")
    rig.until(lambda: first.events)
    link = rig.accept(listener)
    assert first.events == [("stream", "new")]
    assert second.events == []
    first.get()
    rig.until(lambda: arrived(link))
    assert link.receive(len(PREFACE)) == PREFACE
    link.send(settings(streams=10) + frame(SETTINGS, ACK))
    rig.until(lambda: second.events)
    assert second.events[0][0] == "stream"
    assert door.state()["shared"] == 1
    assert door.state()["dialing"] == 0


def test_another_connection_is_made_when_the_streams_allowed_are_all_in_use(
    rig: Rig, listener: RawListener
) -> None:
    door = rig.door(listener, alone=True)
    askers = [door.ask("http2") for _ in range(2)]
    rig.until(lambda: askers[0].events)
    link = rig.accept(listener)
    askers[0].get()
    link.send(settings(streams=1) + frame(SETTINGS, ACK))
    rig.until(lambda: askers[1].events)
    assert door.state()["shared"] == 2
    rig.accept(listener)


def test_those_that_one_connection_lost_share_what_was_made_since_whenever_they_come(
    rig: Rig, listener: RawListener
) -> None:
    """One turn may have no time for all of them: some come when the new connection is already there."""
    door = rig.door(listener, alone=True)
    greeted(rig, door, listener)
    link = rig.links[-1]
    lost_at = door.now()
    link.close()
    rig.until(lambda: door.state()["shared"] == 0)
    early = door.ask("http2", fresh_since=lost_at)
    rig.until(lambda: early.events)
    early.get()
    rig.accept(listener).send(settings(streams=10) + frame(SETTINGS, ACK))
    rig.until(lambda: door.ask("http2").events)
    late = [door.ask("http2", fresh_since=lost_at) for _ in range(3)]
    assert [asker.events[0][0] for asker in late] == ["stream"] * 3
    assert (door.state()["shared"], door.state()["dialing"]) == (1, 0)


def test_beside_one_that_was_kept_the_fresh_one_is_made_once(
    rig: Rig, listener: RawListener
) -> None:
    door = rig.door(listener, alone=True)
    greeted(rig, door, listener)
    lost_at = door.now()
    early = door.ask("http2", fresh_since=lost_at)
    assert (early.events, door.state()["dialing"]) == ([], 1)
    rig.until(lambda: early.events)
    assert early.events == [("stream", "new")]
    early.get()
    settle(rig.loop)
    fresh = rig.accept(listener)
    answer = frame(HEADERS, END_HEADERS | END_STREAM, 1, STATUS_200)
    fresh.send(settings(streams=10) + frame(SETTINGS, ACK) + answer)
    rig.until(lambda: ("head", 200) in early.events)
    late = door.ask("http2", fresh_since=lost_at)
    assert late.events == [("stream", "kept")]
    assert (door.state()["shared"], door.state()["dialing"]) == (2, 0)


def greeted(rig: Rig, door: Door, listener: RawListener) -> Asker:
    """Who was given a stream of a connection that has said how many it takes."""
    asker = door.ask("http2")
    rig.until(lambda: asker.events)
    asker.get()
    rig.accept(listener).send(settings(streams=10) + frame(SETTINGS, ACK))
    other = door.ask("http2")
    rig.until(lambda: other.events)
    return asker


def test_what_answers_with_http1_is_remembered_by_failing_who_waits(
    rig: Rig, listener: RawListener
) -> None:
    door = rig.door(listener, alone=True)
    first, second = door.ask("http2"), door.ask("http2")
    rig.until(lambda: first.events)
    link = rig.accept(listener)
    first.get()
    link.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    rig.until(lambda: second.events)
    assert second.events == [("failed", "protocol error")]
    rig.until(lambda: len(first.events) > 1)
    assert first.events[1][0] == "reset"
    assert door.state()["shared"] == 0


# ---- the end


def test_closing_ends_idle_connections_and_lets_an_exchange_finish(
    rig: Rig, listener: RawListener
) -> None:
    door = rig.door(listener, alone=True)
    busy, idle = door.ask(), door.ask()
    rig.until(lambda: busy.events and idle.events)
    links = [rig.accept(listener), rig.accept(listener)]
    idle.get()
    rig.until(lambda: any(arrived(link) for link in links))
    quiet, other = links if arrived(links[0]) else links[::-1]
    quiet.receive_until(b"\r\n\r\n")
    quiet.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    rig.until(lambda: door.state()["idle"])
    door.close()
    door.close()
    rig.until(lambda: arrived(quiet))
    assert quiet.sock.recv(1) == b""
    rig.answer(busy, other)
    # ... and then there is nobody to keep it for.
    rig.until(lambda: arrived(other))
    assert other.sock.recv(1) == b""


def test_closing_tells_who_waits_and_who_comes(rig: Rig, listener: RawListener) -> None:
    door = rig.door(listener, alone=True)
    waiting = [door.ask("http1"), door.ask("http2")]
    door.close()
    assert [asker.events for asker in waiting] == [[("failed", "connection closed by proxy")]] * 2
    assert door.ask().events == [("failed", "connection closed by proxy")]
    rig.until(lambda: door.state()["dialing"] == 0)


def test_an_endpoint_that_was_removed_is_not_probed_again(
    rig: Rig, nobody: tuple[str, int]
) -> None:
    door = rig.door(nobody, backoff_min_ns=5 * MS)
    rig.until(lambda: door.told == ["failing"])
    door.close()
    failures = door.state()["failures"]
    other = rig.door(nobody, backoff_min_ns=5 * MS)
    rig.until(lambda: other.state()["failures"] > 2)
    assert door.state()["failures"] == failures


# ---- its breaker


def guarded(rig: Rig, listener: RawListener) -> Door:
    """It opens at the second failure."""
    door = rig.door(listener)
    rig.until(lambda: door.told)
    rig.accept(listener)
    door.guard(Accrual(max_failures=2, min_backoff_ns=20 * MS, max_backoff_ns=40 * MS))
    door.told.clear()
    return door


def test_its_breaker_opens_lets_one_try_and_opens_again_until_that_succeeds(
    rig: Rig, listener: RawListener
) -> None:
    door = guarded(rig, listener)
    door.hear(False)
    assert door.told == []
    door.hear(False)
    assert door.told == ["open"]
    rig.until(lambda: door.told[-1] == "probation")
    door.probe()
    door.hear(False)
    assert door.told == ["open", "probation", "open"]
    rig.until(lambda: door.told[-1] == "probation")
    door.probe()
    door.hear(True)
    assert door.told[-1] == "closed"
    assert door.state()["ready"]


def test_a_probe_without_an_end_makes_room_for_another(rig: Rig, listener: RawListener) -> None:
    door = guarded(rig, listener)
    door.hear(False)
    door.hear(False)
    for _ in range(2):
        rig.until(lambda: door.told[-1] == "probation")
        door.probe()
        rig.until(lambda: door.told[-1] == "open")
    assert door.told == ["open", "probation"] * 2 + ["open"]


def test_a_breaker_ends_with_its_endpoint_or_when_nobody_wants_it(
    rig: Rig, listener: RawListener
) -> None:
    door = guarded(rig, listener)
    door.hear(False)
    door.hear(False)
    door.guard(None)
    door.hear(False)
    assert door.told == ["open"]
    again = guarded(rig, listener)
    again.hear(False)
    again.hear(False)
    again.close()
    again.hear(True)
    settle(rig.loop)
    assert again.told == ["open"]
