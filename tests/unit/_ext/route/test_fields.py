"""The fields of a head as Python gets them."""

from tests.support.raw_socket import RawListener
from tests.support.route_rig import OK, Rig

HEAD = (
    b"HTTP/1.1 200 OK\r\nX-One: First Value\r\nconnection: x-gone, Keep-Alive\r\nX-Gone: 1\r\n"
    b"keep-alive: timeout=5\r\nx-ONE: second\r\nX-Empty:\r\ncontent-length: 2\r\n\r\nok"
)
SHOWN = [
    (b"x-one", b"First Value"),
    (b"x-one", b"second"),
    (b"x-empty", b""),
    (b"content-length", b"2"),
]


def test_names_are_lower_case_values_as_they_came_and_the_order_stays(
    rig: Rig, listener: RawListener
) -> None:
    target = rig.target(listener)
    seen = rig.ask(target, rig.tables[-1])
    end = rig.accept(listener)
    rig.until(end.take)
    end.send(HEAD)
    rig.until(seen.over)
    # What held for one connection only was dropped.
    assert seen.events[0] == ("head", 200, SHOWN)


def test_they_outlive_the_head(rig: Rig, listener: RawListener) -> None:
    target = rig.target(listener)
    first = rig.ask(target, rig.tables[-1])
    end = rig.accept(listener)
    rig.until(end.take)
    end.send(HEAD)
    rig.until(first.over)
    # The next one is read into the same memory.
    second = rig.ask(target, rig.tables[-1])
    rig.until(lambda: end.take().count(b"GET") == 2)
    end.send(OK.replace(b"content-length", b"x-other: " + b"y" * 200 + b"\r\ncontent-length"))
    rig.until(second.over)
    assert first.events[0] == ("head", 200, SHOWN)
