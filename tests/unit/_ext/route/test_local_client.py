"""Requests of Python's own."""

from tests.support.raw_socket import RawListener
from tests.support.route_rig import OK, Rig


def test_callbacks_come_from_the_loop_and_in_order(rig: Rig, listener: RawListener) -> None:
    target = rig.target(listener)
    seen = rig.ask(target, rig.tables[-1], path=b"/p", headers=[(b"x-a", b"1")])
    end = rig.accept(listener)
    rig.until(lambda: end.take().endswith(b"\r\n\r\n"))
    assert end.received.startswith(b"GET /p HTTP/1.1\r\n")
    assert b"x-a: 1\r\n" in end.received
    end.send(OK)
    assert seen.events == []
    rig.until(seen.over)
    assert seen.names() == ["head", "body", "end"]
    assert seen.request is not None
    assert seen.request.ended


def test_a_body_has_its_length_and_an_open_one_grows(rig: Rig, listener: RawListener) -> None:
    target = rig.target(listener)
    first = rig.ask(target, rig.tables[-1], method=b"POST", body=b"whole")
    end = rig.accept(listener)
    rig.until(lambda: end.take().endswith(b"whole"))
    assert b"content-length: 5\r\n" in end.received
    end.send(OK)
    rig.until(first.over)
    seen = rig.ask(target, rig.tables[-1], method=b"POST", body=b"one", end=False)
    rig.until(lambda: b"3\r\none\r\n" in end.take())
    assert seen.request is not None
    seen.request.send(b"two", end=True)
    rig.until(lambda: end.take().endswith(b"3\r\ntwo\r\n0\r\n\r\n"))


def test_nothing_follows_a_cancellation(rig: Rig, listener: RawListener) -> None:
    target = rig.target(listener)
    seen = rig.ask(target, rig.tables[-1])
    end = rig.accept(listener)
    rig.until(end.take)
    assert seen.request is not None
    seen.request.cancel()
    seen.request.cancel()
    rig.until(lambda: end.take() and end.end)
    assert seen.events == []
    assert target.in_use == 0


def test_a_held_response_waits_for_python(rig: Rig, listener: RawListener) -> None:
    target = rig.target(listener)
    seen = rig.ask(target, rig.tables[-1])
    end = rig.accept(listener)
    rig.until(end.take)
    assert seen.request is not None
    seen.request.hold_response()
    end.send(OK)
    # The exchange is over; what it said waits.
    rig.until(lambda: target.in_use == 0)
    assert seen.events == []
    seen.request.unhold_response()
    rig.until(seen.over)
    assert seen.body() == b"ok"


def test_a_cut_response_is_told_as_a_reset(rig: Rig, listener: RawListener) -> None:
    target = rig.target(listener)
    seen = rig.ask(target, rig.tables[-1])
    end = rig.accept(listener)
    rig.until(end.take)
    end.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
    end.link.half_close()
    rig.until(seen.over)
    assert seen.names()[-1] == "reset"
