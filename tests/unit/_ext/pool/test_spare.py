"""The connection that a probe has left."""

import pytest

from tests.support.endpoint_rig import MS, Rig, arrived
from tests.support.raw_socket import RawConnection, RawListener


def probed(rig: Rig, listener: RawListener, **settings: float) -> tuple[object, RawConnection]:
    door = rig.door(listener, **settings)
    rig.until(lambda: door.state()["spare"])
    return door, rig.accept(listener)


def test_the_first_exchange_goes_over_it(rig: Rig, listener: RawListener) -> None:
    door, link = probed(rig, listener)
    asker = door.ask()
    assert asker.events == [("stream", "new")]
    rig.answer(asker, link)
    assert door.state()["spare"] == 0
    assert door.state()["idle"] == 1


def test_it_serves_only_one(rig: Rig, listener: RawListener) -> None:
    door, _ = probed(rig, listener)
    first, second = door.ask(), door.ask()
    assert first.events == [("stream", "new")]
    assert second.events == []
    rig.until(lambda: second.events)
    rig.accept(listener)


@pytest.mark.parametrize("end", ["bytes", "fin", "reset"])
def test_what_its_endpoint_does_first_makes_it_worthless(
    rig: Rig, listener: RawListener, end: str
) -> None:
    door, link = probed(rig, listener)
    if end == "bytes":
        link.send(b"220 mail.example ESMTP\r\n")
    elif end == "fin":
        link.half_close()
    else:
        link.reset()
    rig.until(lambda: not door.state()["spare"])
    asker = door.ask()
    rig.until(lambda: asker.events)
    assert asker.events == [("stream", "new")]
    rig.answer(asker, rig.accept(listener))


def test_nobody_keeps_it_longer_than_an_idle_connection(rig: Rig, listener: RawListener) -> None:
    door, link = probed(rig, listener, http1_idle_ns=20 * MS)
    rig.until(lambda: not door.state()["spare"])
    rig.until(lambda: arrived(link))
    assert link.sock.recv(1) == b""


def test_it_ends_with_its_endpoint(rig: Rig, listener: RawListener) -> None:
    door, link = probed(rig, listener)
    door.close()
    rig.until(lambda: arrived(link))
    assert link.sock.recv(1) == b""
