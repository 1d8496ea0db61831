"""Windows: credit goes back when the peer took the bytes, a stalled stream stalls only itself,
nothing leaks.
"""

from functools import partial
from typing import Any

import pytest

from tests.contract.http2.peers import (
    DATA,
    HEADERS,
    PADDED,
    POST,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Scene,
    frame,
    headers_frame,
)

STREAM_WINDOW = 65_535
CONNECTION_WINDOW = 1_048_576


def test_the_connection_window_is_the_configured_one(scene: Scene) -> None:
    _, client = scene.server(initial_connection_window=200_000, initial_stream_window=70_000)
    scene.until(lambda: client.h2.outbound_flow_control_window == 200_000)
    stream = client.request(POST, end=False)
    assert client.h2.local_flow_control_window(stream) == 70_000


def fill(client: Any, stream: int, count: int) -> int:
    """Sends up to `count` bytes as the windows allow; how many went."""
    sent = 0
    while sent < count:
        room = min(client.h2.local_flow_control_window(stream), 16_384, count - sent)
        if room <= 0:
            break
        client.body(stream, b"x" * room)
        sent += room
    return sent


def test_a_held_stream_gets_one_window_and_no_more(scene: Scene) -> None:
    door, client = scene.server(lambda peer, name: name == "head" and peer.hold())
    stream = client.request(POST, end=False)
    scene.until(lambda: client.h2.outbound_flow_control_window == CONNECTION_WINDOW)
    assert fill(client, stream, 200_000) == STREAM_WINDOW
    scene.settle()
    assert client.h2.local_flow_control_window(stream) == 0
    peer = door.peers[0]
    assert len(peer.body) == STREAM_WINDOW
    peer.unhold()
    scene.until(lambda: client.h2.local_flow_control_window(stream) == STREAM_WINDOW)


def test_a_held_stream_does_not_hold_others(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        if name == "head" and len(door.peers) == 1:
            peer.hold()

    door, client = scene.server(on_event)
    held = client.request(POST, end=False)
    scene.until(lambda: client.h2.outbound_flow_control_window == CONNECTION_WINDOW)
    fill(client, held, STREAM_WINDOW)
    free = client.request(POST, end=False)
    sent = 0
    while sent < 3 * CONNECTION_WINDOW:
        scene.until(lambda: client.h2.local_flow_control_window(free) > 0)
        sent += fill(client, free, 3 * CONNECTION_WINDOW - sent)
    client.body(free, b"", end=True)
    scene.until(lambda: door.peers[1].ended)
    assert len(door.peers[1].body) == 3 * CONNECTION_WINDOW


def test_hold_and_unhold_are_idempotent(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        peer.hold()
        peer.hold()
        peer.unhold()
        peer.unhold()

    door, client = scene.server(on_event)
    stream = client.request(POST, end=False)
    total = 0
    while total < 4 * STREAM_WINDOW:
        scene.until(lambda: client.h2.local_flow_control_window(stream) > 0)
        total += fill(client, stream, 4 * STREAM_WINDOW - total)
    scene.until(lambda: len(door.peers[0].body) == total)


LEAKS = {
    "data on a stream we reset": lambda n: (
        headers_frame(n, POST, end=False) + frame(DATA, 0, n, b"x" * 16_000)
    ),
    "padded data on a stream we reset": lambda n: (
        headers_frame(n, POST, end=False)
        + frame(DATA, PADDED, n, b"\xff" + b"x" * 15_000 + b"\0" * 255)
    ),
    "data, then the client's reset": lambda n: (
        headers_frame(n, POST, end=False)
        + frame(DATA, PADDED, n, b"\x10" + b"x" * 15_000 + b"\0" * 16)
        + frame(RST_STREAM, 0, n, b"\0\0\0\x08")
    ),
    "data of a malformed request": lambda n: (
        headers_frame(n, [*POST, ("x", "\0")], end=False) + frame(DATA, 0, n, b"x" * 16_000)
    ),
}


@pytest.mark.parametrize("mode", ["reset", "hold", "take"])
@pytest.mark.parametrize("wire", LEAKS.values(), ids=LEAKS.keys())
def test_the_connection_window_is_whole_when_all_streams_are_gone(
    scene: Scene, wire: Any, mode: str
) -> None:
    def on_event(peer: Any, name: str) -> None:
        if name == "head" and mode == "reset":
            peer.reset(8)
        if name == "head" and mode == "hold":
            peer.hold()

    door, client = scene.raw_server(
        on_event, reset_burst=10_000, anomaly_budget=10_000, max_concurrent_streams=10_000
    )
    streams = range(1, 2 * 200, 2)  # three windows' worth
    for stream in streams:
        client.send(wire(stream))
        scene.turn()
    scene.settle()
    for peer in door.peers:
        peer.reset(8)
    scene.settle()
    assert door.streams == 0
    credited = sum(int.from_bytes(f[3], "big") for f in client.of(WINDOW_UPDATE, 0))
    spent = sum(_data_bytes(wire(stream)) for stream in streams)
    # 65,535 are there without an update; what is not announced yet is less than half a window.
    left = 65_535 + credited - spent
    assert CONNECTION_WINDOW // 2 <= left <= CONNECTION_WINDOW
    assert left == CONNECTION_WINDOW - door.window[1]
    assert door.window[0] == CONNECTION_WINDOW


def _data_bytes(wire: bytes) -> int:
    total = 0
    while wire:
        length = int.from_bytes(wire[:3], "big")
        total += length if wire[3] == DATA else 0
        wire = wire[9 + length :]
    return total


def test_a_full_queue_says_so_and_says_when_there_is_room(scene: Scene) -> None:
    door, client = scene.server()
    client.auto_credit = False
    stream = client.request()
    scene.until(lambda: door.peers)
    peer = door.peers[0]
    peer.respond(200)
    assert peer.send(b"x" * STREAM_WINDOW) == 0  # exactly the client's window
    scene.until(lambda: door.queued == 0)
    assert peer.send(b"y" * 40_000) == 1
    assert peer.send(b"y" * 40_000) == 1
    scene.settle()
    assert door.queued == 80_000
    assert "room" not in peer.names()
    for _ in range(2):
        assert "room" not in peer.names()
        client.h2.acknowledge_received_data(40_000, stream)
        client.flush()
        scene.until(
            lambda: len(client.bodies[stream]) in (STREAM_WINDOW + 40_000, STREAM_WINDOW + 80_000)
        )
        scene.settle()
    scene.until(lambda: "room" in peer.names())
    assert door.queued <= 32_768
    assert peer.send(b"z", end=True) == 0
    client.auto_credit = True
    client.h2.acknowledge_received_data(len(client.bodies[stream]) - 80_000, stream)
    client.flush()
    scene.until(lambda: client.ended(stream))
    assert len(client.bodies[stream]) == STREAM_WINDOW + 80_001
    assert peer.names().count("room") == 1


def test_a_queue_that_the_windows_let_go_is_full_at_its_mark(scene: Scene) -> None:
    """Whoever opens the windows and reads slowly is written ahead for."""
    door, client = scene.server(buffer=4096)
    client.h2.increment_flow_control_window(10_000_000)
    stream = client.request()
    client.h2.increment_flow_control_window(10_000_000, stream)
    client.flush()
    scene.until(lambda: door.peers)
    client.reading = False
    peer = door.peers[0]
    peer.respond(200)
    while door.queued == 0:
        assert peer.send(b"x" * 16_384) == 0
        scene.turn()
    while peer.send(b"x" * 100) == 0:
        pass
    assert 65_536 <= door.queued < 65_636


@pytest.mark.parametrize("window", [0, 100, 10_000])
def test_a_stream_is_full_with_what_its_windows_do_not_let_go(scene: Scene, window: int) -> None:
    door, client = scene.raw_server()
    client.send(frame(SETTINGS, 0, 0, b"\0\x04" + window.to_bytes(4, "big")) + headers_frame(1))
    scene.until(lambda: door.peers)
    peer = door.peers[0]
    peer.respond(200)
    assert peer.send(b"x" * 1000) == 0  # next to nothing, which is not worth a pause
    assert peer.send(b"x" * 15_000) == 1
    scene.settle()
    assert door.queued == 16_000 - window
    assert "room" not in peer.names()
    client.send(frame(WINDOW_UPDATE, 0, 1, (16_000 - window).to_bytes(4, "big")))
    scene.until(lambda: "room" in peer.names())
    assert door.queued == 0


def test_streams_are_full_with_what_the_connections_window_does_not_let_go(scene: Scene) -> None:
    door, client = scene.raw_server()
    client.send(frame(SETTINGS, 0, 0, b"\0\x04\x7f\0\0\0"))
    client.send(b"".join(headers_frame(2 * n + 1) for n in range(10)))
    scene.until(lambda: len(door.peers) == 10)
    for peer in door.peers:
        peer.respond(200)
    told = [peer.send(b"x" * 16_384) for peer in door.peers]
    assert told == [0] * 3 + [1] * 7
    client.send(frame(WINDOW_UPDATE, 0, 0, b"\0\x10\0\0"))
    scene.until(lambda: door.queued == 0)
    assert [peer.names().count("room") for peer in door.peers] == told


def test_a_stream_without_window_stalls_only_itself(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        if name == "head":
            peer.respond(200)
            peer.send(b"x" * 200_000, end=True)

    door, client = scene.server(on_event)
    client.auto_credit = False
    stalled = client.request()
    scene.until(lambda: len(client.bodies.get(stalled, b"")) == STREAM_WINDOW)
    client.h2.increment_flow_control_window(10_000_000)
    for _ in range(5):
        other = client.request()
        client.h2.increment_flow_control_window(1_000_000, other)
        client.flush()
        scene.until(partial(client.ended, other))
        assert len(client.bodies[other]) == 200_000
    assert len(client.bodies[stalled]) == STREAM_WINDOW
    assert door.streams == 1


def test_a_stream_that_stays_stalled_is_reset(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        if name == "head":
            peer.respond(200)
            peer.send(b"x" * 100_000)

    door, client = scene.server(on_event, stalled_send_ns=100_000_000)
    client.auto_credit = False
    stream = client.request()
    scene.until(lambda: client.reset_code(stream) is not None)
    assert client.reset_code(stream) == 8
    assert door.peers[0].events[-1] == ("reset", "idle", 8)
    assert door.queued == 0
    assert not door.over


def test_a_whole_answer_that_stays_stalled_is_freed(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        if name == "head":
            peer.respond(200)
            peer.send(b"x" * 100_000, end=True)

    door, client = scene.server(on_event, stalled_send_ns=100_000_000)
    client.auto_credit = False
    client.request()
    scene.until(lambda: door.peers)
    assert not door.peers[0].reports_here
    scene.until(lambda: door.streams == 0)
    assert door.queued == 0


def test_a_connection_that_takes_no_bytes_is_ended(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        if name == "head":
            peer.respond(200)
            peer.send(b"x" * 400_000)

    door, client = scene.server(on_event, buffer=4096, stalled_send_ns=100_000_000)
    client.h2.increment_flow_control_window(10_000_000)
    streams = [client.request() for _ in range(10)]
    for stream in streams:
        client.h2.increment_flow_control_window(1_000_000, stream)
    client.flush()
    client.reading = False
    scene.until(lambda: door.over)
    assert all(peer.events[-1][:2] == ("reset", "idle") for peer in door.peers)
    assert door.closed


def test_a_settings_change_of_the_window_is_followed(scene: Scene) -> None:
    def on_event(peer: Any, name: str) -> None:
        if name == "head":
            peer.respond(200)
            peer.send(b"x" * 1000, end=True)

    door, client = scene.raw_server(on_event)
    client.send(frame(4, 0, 0, b"\0\x04\0\0\0\0"))
    client.send(headers_frame(1))
    scene.until(lambda: client.of(HEADERS, 1))
    scene.settle()
    assert not client.of(DATA)
    assert door.queued == 1000
    client.send(frame(4, 0, 0, b"\0\x04\0\0\x80\0"))
    scene.until(lambda: client.of(DATA, 1))
    assert sum(len(f[3]) for f in client.of(DATA, 1)) == 1000


def test_streams_that_wait_together_hold_a_piece_each(scene: Scene) -> None:
    """A client that opens no window makes all of them wait at next to no cost of its own."""
    size = 200_000
    left: dict[Any, int] = {}

    def fill_up(peer: Any, name: str) -> None:
        if name == "head":
            left[peer] = size
            peer.respond(200)
        while left[peer]:
            piece = min(left[peer], 16_384)
            left[peer] -= piece
            if peer.send(b"x" * piece, end=not left[peer]):
                break

    door, client = scene.raw_server(fill_up)
    client.send(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\0"))
    client.send(b"".join(headers_frame(2 * n + 1) for n in range(100)))
    scene.until(lambda: len(door.peers) == 100)
    assert door.queued == 100 * 16_384
    # None of them is forgotten: the windows open, and all come to their end.
    client.send(frame(SETTINGS, 0, 0, b"\0\x04\0\x0f\0\0"))
    client.send(frame(WINDOW_UPDATE, 0, 0, b"\x7f\0\0\0"))
    scene.until(lambda: door.streams == 0, timeout_s=20)
    assert sum(len(f[3]) for f in client.of(DATA)) == 100 * size
