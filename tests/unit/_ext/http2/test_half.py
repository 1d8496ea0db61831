"""Commands to one stream: what waits in its queue, and what a stream that is gone still takes."""

import socket
from collections.abc import Iterator

import pytest

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http2.testing import ClientDoor, RecorderPeer
from linkerd2_py._ext.io.loop import Loop

OK, FULL = 0, 1
WINDOW = 65_535  # of a connection and of each stream, until the other side says otherwise
CANCEL = 8


@pytest.fixture
def door(loop: Loop) -> Iterator[ClientDoor]:
    """A client whose other end takes bytes and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    ours.setblocking(False)
    door = ClientDoor(loop, ours.detach(), Limits())
    with theirs:
        yield door
        door.let_go()


def asking(door: ClientDoor) -> RecorderPeer:
    """An exchange whose request has a body to come."""
    peer = door.open()
    assert peer.request(b"POST", b"/", end=False) == OK
    return peer


def test_body_waits_until_the_session_writes(door: ClientDoor, loop: Loop) -> None:
    peer = asking(door)
    assert peer.send(b"x" * 1000) == OK
    assert door.queued == 1000
    loop.drain()
    assert door.queued == 0


def test_body_beyond_the_window_waits_on(door: ClientDoor, loop: Loop) -> None:
    peer = asking(door)
    assert peer.send(b"x" * (WINDOW + 1000)) == FULL
    loop.drain()
    assert door.queued == 1000
    # The first stream has used up the connection's window.
    assert asking(door).send(b"y" * 500, end=True) == OK
    loop.drain()
    assert door.queued == 1500


def test_a_queue_that_emptied_enough_says_so_once(door: ClientDoor, loop: Loop) -> None:
    peer = asking(door)
    assert peer.send(b"x" * WINDOW) == OK
    assert peer.send(b"x") == FULL
    loop.drain()
    assert peer.names() == ["room"]


def test_a_reset_forgets_what_waits(door: ClientDoor, loop: Loop) -> None:
    peer = asking(door)
    peer.send(b"x" * 100_000)
    peer.reset(CANCEL)
    assert door.queued == 0
    assert not peer.reports_here
    loop.drain()
    assert door.streams == 0
    assert peer.events == []


def test_a_stream_that_was_never_sent_is_gone_at_once(door: ClientDoor) -> None:
    peer = door.open()
    assert door.streams == 1
    peer.reset(CANCEL)
    assert door.streams == 0
    assert not peer.connected


def test_a_stream_that_is_gone_takes_commands_and_does_nothing(door: ClientDoor) -> None:
    peer = door.open()
    peer.reset(CANCEL)
    assert peer.request(b"GET", b"/") == OK
    assert peer.send(b"x" * 100_000) == OK
    assert peer.trailers([(b"name", b"value")]) == OK
    peer.hold()
    peer.unhold()
    peer.release_head()
    peer.reset(CANCEL)
    assert door.queued == 0
    assert door.streams == 0


def test_nothing_follows_the_end_of_a_message(door: ClientDoor) -> None:
    peer = asking(door)
    peer.send(b"x", end=True)
    assert peer.send(b"y" * 1000) == OK
    assert peer.trailers([(b"name", b"value")]) == OK
    assert door.queued == 1


def test_a_recycled_stream_is_as_new(door: ClientDoor, loop: Loop) -> None:
    old = asking(door)
    old.hold()
    old.send(b"x" * 100_000, end=True)
    old.reset(CANCEL)
    loop.drain()
    old.drop_half()
    new = asking(door)
    assert new.send(b"y" * 10) == OK
    assert door.queued == 10
    loop.drain()
    assert door.queued == 0
