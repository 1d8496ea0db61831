"""What a client must not make us do: every budget, spent on purpose, is answered with ENHANCE_YOUR_CALM; busy
clients stay below.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import h2.events
import pytest
from hpack import Encoder

from tests.contract.http2.peers import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawPeer,
    Scene,
    frame,
    headers_frame,
)

CALM = 11
CANCEL = (8).to_bytes(4, "big")


def ended_calmly(client: RawPeer) -> Callable[[], object]:
    return lambda: client.closed and client.goaway is not None and client.goaway[1] == CALM


def answer(peer: Any, name: str) -> None:
    if peer.ended and name != "reset":
        peer.respond(200)
        peer.send(b"x", end=True)


CHEAP = {
    "PING": frame(PING, 0, 0, b"12345678"),
    "SETTINGS": frame(SETTINGS),
    "PRIORITY": frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
    "unknown type": frame(0xBB, 0xFF, 1, b"abc"),
    "WINDOW_UPDATE": frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "empty DATA": frame(DATA, 0, 1),
    "DATA that is all padding": frame(DATA, PADDED, 1, b"\x03\0\0\0"),
}


@pytest.mark.parametrize("cheap", CHEAP.values(), ids=CHEAP.keys())
def test_frames_that_carry_nothing_are_bounded(scene: Scene, cheap: bytes) -> None:
    door, client = scene.raw_server()
    client.send(headers_frame(1, POST, end=False) + cheap * 90)
    scene.until(lambda: door.peers)
    scene.settle()
    assert not door.over
    client.send(cheap * 20)
    scene.until(ended_calmly(client))
    assert door.peers[0].events[-1] == ("reset", "protocol", 0)


def test_a_flood_inside_one_read_is_seen_before_it_is_parsed(scene: Scene) -> None:
    door, client = scene.raw_server()
    client.send(headers_frame(1) + CHEAP["PING"] * 500)
    scene.until(ended_calmly(client))
    assert len(client.of(PING)) < 500
    assert door.over


def taken_back(stream: int, encoder: Encoder) -> bytes:
    return headers_frame(stream, encoder=encoder) + frame(RST_STREAM, 0, stream, CANCEL)


def test_rapid_reset_is_bounded_and_cancels_what_it_opened(scene: Scene) -> None:
    door, client = scene.raw_server(reset_burst=100, reset_rate=1)
    encoder = Encoder()
    for number in range(220):
        client.send(taken_back(2 * number + 1, encoder))
        scene.turn()
    scene.until(ended_calmly(client))
    assert len(door.peers) <= 110
    assert all(peer.events[-1][0] == "reset" for peer in door.peers)
    assert door.streams == 0


def test_requests_that_begin_and_are_given_up_at_once_are_twice_the_stream_limit_at_most(
    scene: Scene,
) -> None:
    door, client = scene.raw_server(max_concurrent_streams=50)
    encoder = Encoder()
    for number in range(1000):
        stream = 2 * number + 1
        client.send(headers_frame(stream, encoder=encoder))
        begun = len(door.peers)
        scene.until(lambda n=begun: len(door.peers) > n or client.goaway or door.over)
        client.send(frame(RST_STREAM, 0, stream, CANCEL))
        if client.goaway:
            break
    scene.until(ended_calmly(client))
    assert len(door.peers) <= 100


def test_a_client_that_is_sent_away_keeps_what_it_had(scene: Scene) -> None:
    door, client = scene.raw_server(reset_burst=20, reset_rate=1, max_concurrent_streams=200)
    encoder = Encoder()
    client.send(headers_frame(1, encoder=encoder))
    scene.until(lambda: door.peers)
    client.send(b"".join(taken_back(stream, encoder) for stream in range(3, 63, 2)))
    scene.until(lambda: client.goaway)
    assert client.goaway is not None
    last, code = client.goaway
    assert code == CALM
    assert last < 63
    begun = len(door.peers)
    client.send(headers_frame(63, encoder=encoder))
    scene.settle()
    assert len(door.peers) == begun
    assert not door.over
    door.peers[0].respond(200)
    door.peers[0].send(b"whole", end=True)
    scene.until(lambda: client.closed)
    assert [f[3] for f in client.of(DATA, 1)] == [b"whole"]
    assert not client.reset_seen


def test_a_client_that_was_sent_away_and_goes_on_is_cut_off(scene: Scene) -> None:
    door, client = scene.raw_server(reset_burst=20, reset_rate=1, max_concurrent_streams=200)
    encoder = Encoder()
    client.send(headers_frame(1, encoder=encoder))
    client.send(b"".join(taken_back(stream, encoder) for stream in range(3, 203, 2)))
    scene.until(ended_calmly(client))
    assert len(door.peers) < 30


def test_deadlines_cost_nothing(scene: Scene) -> None:
    door, client = scene.raw_server(reset_burst=5)
    encoder = Encoder()
    client.send(b"".join(headers_frame(2 * n + 1, encoder=encoder) for n in range(200)))
    scene.until(lambda: len(door.peers) == 200)
    begun = time.monotonic()
    scene.until(lambda: time.monotonic() - begun > 0.02)
    client.send(b"".join(frame(RST_STREAM, 0, 2 * n + 1, CANCEL) for n in range(200)))
    scene.until(lambda: door.streams == 0)
    scene.settle()
    assert not door.over
    assert client.goaway is None
    assert door.budgets[1] == 0


def test_resets_that_crossed_our_answers_cost_nothing(scene: Scene) -> None:
    door, client = scene.raw_server(answer, reset_burst=5)
    encoder = Encoder()
    for number in range(50):
        stream = 2 * number + 1
        client.send(headers_frame(stream, encoder=encoder))
        scene.until(partial(client.of, DATA, stream))
        client.send(frame(RST_STREAM, 0, stream, CANCEL))
    scene.settle()
    assert not door.over
    assert door.budgets[1] == 0


def test_who_has_proven_an_identity_may_take_back_far_more(scene: Scene) -> None:
    door, client = scene.raw_server(reset_burst=20, reset_rate=1, proven=True)
    encoder = Encoder()
    client.send(b"".join(taken_back(2 * n + 1, encoder) for n in range(600)))
    scene.until(lambda: len(door.peers) == 600)
    scene.settle()
    assert client.goaway is None
    client.send(b"".join(taken_back(2 * n + 1, encoder) for n in range(600, 900)))
    scene.until(ended_calmly(client))


def test_requests_that_one_read_brings_and_takes_back_have_a_limit_of_their_own(
    scene: Scene,
) -> None:
    door, client = scene.raw_server(pending_accept_resets=5)
    encoder = Encoder()
    for turn in range(4):
        block = range(10 * turn, 10 * turn + 10, 2)
        client.send(b"".join(taken_back(n + 1, encoder) for n in block))
        scene.until(lambda n=turn: len(door.peers) == 5 * n + 5)
    scene.settle()
    assert client.goaway is None
    client.send(b"".join(taken_back(n + 1, encoder) for n in range(40, 52, 2)))
    scene.until(ended_calmly(client))


def window_overflow(stream: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff")


def too_long(stream: int) -> bytes:
    return frame(DATA, 0, stream, b"longer")


PROVOKED = {
    "window overflow": window_overflow,
    "content length": too_long,
}


@pytest.mark.parametrize("provoke", PROVOKED.values(), ids=PROVOKED.keys())
def test_resets_that_the_client_provokes_are_charged(
    scene: Scene, provoke: Callable[[int], bytes]
) -> None:
    door, client = scene.raw_server(anomaly_budget=10_000, reset_burst=100, reset_rate=1)
    encoder = Encoder()
    for number in range(220):
        if client.closed:
            break
        stream = 2 * number + 1
        fields = [*POST, ("content-length", "1")]
        client.send(headers_frame(stream, fields, end=False, encoder=encoder) + provoke(stream))
        scene.turn()
    scene.until(ended_calmly(client))
    assert len(door.peers) <= 102
    assert all(peer.events[-1][0] == "reset" for peer in door.peers)


def test_a_stream_window_update_of_zero_ends_the_connection(scene: Scene) -> None:
    door, client = scene.raw_server()
    client.send(headers_frame(1, POST, end=False) + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\0"))
    scene.until(lambda: client.closed)
    assert client.goaway == (1, 1)
    assert door.peers[0].events[-1][0] == "reset"


def test_streams_beyond_the_limit_are_charged(scene: Scene) -> None:
    # Our SETTINGS are not acknowledged, so each is refused for itself.
    door, client = scene.fresh_server(
        PREFACE + frame(SETTINGS), max_concurrent_streams=1, reset_burst=100
    )
    encoder = Encoder()
    for number in range(320):
        client.send(headers_frame(2 * number + 1, encoder=encoder))
    scene.until(lambda: client.goaway)
    assert client.goaway == (1, CALM)
    assert len(door.peers) == 1


def test_a_stream_beyond_an_acknowledged_limit_ends_the_connection(scene: Scene) -> None:
    door, client = scene.raw_server(max_concurrent_streams=1)
    client.send(headers_frame(1) + headers_frame(3))
    scene.until(lambda: client.closed)
    assert client.goaway is not None
    assert client.goaway[1] == 1
    assert len(door.peers) == 1


def test_malformed_requests_are_charged(scene: Scene) -> None:
    door, client = scene.raw_server(reset_burst=100, reset_rate=1)
    encoder = Encoder()
    for number in range(220):
        client.send(headers_frame(2 * number + 1, REQUEST[:3], encoder=encoder))
    scene.until(ended_calmly(client))
    assert door.peers == []


def test_resets_by_our_side_are_not_charged(scene: Scene) -> None:
    door, client = scene.raw_server(lambda peer, name: name == "head" and peer.reset(2))
    encoder = Encoder()
    for number in range(300):
        client.send(headers_frame(2 * number + 1, encoder=encoder))
        scene.turn()
    scene.until(lambda: len(client.of(RST_STREAM)) == 300)
    assert not door.over


@pytest.mark.parametrize("piece", [b"", b"\x00\x01x\x01y"], ids=["empty", "a field each"])
def test_continuation_frames_are_bounded(scene: Scene, piece: bytes) -> None:
    door, client = scene.raw_server(anomaly_budget=10_000)
    client.send(frame(HEADERS, END_STREAM, 1, Encoder().encode(REQUEST)))
    client.send(frame(CONTINUATION, 0, 1, piece) * 1000)
    scene.until(ended_calmly(client))
    assert door.peers == []


def test_a_head_in_a_few_continuations_is_served(scene: Scene) -> None:
    door, client = scene.raw_server(answer)
    block = Encoder().encode([*REQUEST, ("x", "y" * 500)])
    client.send(frame(HEADERS, END_STREAM, 1, block[:9]))
    for start in range(9, len(block), 100):
        piece = block[start : start + 100]
        last = start + 100 >= len(block)
        client.send(frame(CONTINUATION, END_HEADERS if last else 0, 1, piece))
    scene.until(lambda: client.of(DATA, 1))
    assert not door.over


def bomb(value: bytes, repeats: int) -> bytes:
    """One entry put into the dynamic table, then referred to by one byte each time."""
    size = len(value)
    length = bytes([size]) if size < 127 else b"\x7f" + _varint(size - 127)
    insert = b"\x40\x01x" + length + value
    return Encoder().encode(REQUEST, huffman=False) + insert + b"\xbe" * repeats


def _varint(number: int) -> bytes:
    out = b""
    while number >= 128:
        out += bytes([number % 128 + 128])
        number //= 128
    return out + bytes([number])


@pytest.mark.parametrize(
    "block",
    [bomb(b"v" * 3900, 8000), bomb(b"", 8000)],
    ids=["large entry", "tiny entry"],
)
def test_a_header_bomb_costs_its_stream_only(scene: Scene, block: bytes) -> None:
    door, client = scene.raw_server()
    client.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, block) + headers_frame(3))
    scene.until(lambda: door.peers)
    scene.until(lambda: client.reset_code(1) == CALM)
    assert len(door.peers) == 1
    assert door.streams == 1


def test_header_bombs_are_charged(scene: Scene) -> None:
    door, client = scene.raw_server(reset_burst=20, reset_rate=1)
    block = bomb(b"", 8000)
    for number in range(50):
        client.send(frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, block))
        scene.turn()
    scene.until(ended_calmly(client))
    assert door.peers == []


def test_a_small_bomb_costs_its_stream_only(scene: Scene) -> None:
    door, client = scene.raw_server()
    client.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, bomb(b"v" * 3900, 20)))
    client.send(headers_frame(3))
    scene.until(lambda: door.peers)
    assert b"431" in client.of(HEADERS, 1)[0][3]
    assert not door.over


def test_replies_to_a_client_that_does_not_read_are_bounded(scene: Scene) -> None:
    def swamp(peer: Any, name: str) -> None:
        peer.respond(200)
        peer.send(b"x" * 200_000)

    door, client = scene.raw_server(
        swamp, buffer=4096, control_queue=50, anomaly_budget=100_000, max_concurrent_streams=100
    )
    client.reading = False
    encoder = Encoder()
    update = frame(SETTINGS, 0, 0, b"\0\x04\x7f\xff\xff\xff") + frame(
        WINDOW_UPDATE, 0, 0, b"\x7f\0\0\0"
    )
    client.send(update + b"".join(headers_frame(2 * n + 1, encoder=encoder) for n in range(40)))
    scene.until(lambda: door.unsent > 65_536)
    for _ in range(20):
        client.send(frame(PING, 0, 0, b"12345678") * 10)
        scene.turn()
    scene.until(lambda: door.over)
    assert all(peer.events[-1][0] == "reset" for peer in door.peers)


def test_a_body_pulled_out_a_byte_at_a_time_is_bounded(scene: Scene) -> None:
    def swamp(peer: Any, name: str) -> None:
        if name == "head":
            peer.respond(200)
            peer.send(b"x" * 60_000, end=True)

    door, client = scene.raw_server(swamp)
    client.send(frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\0") + headers_frame(1))
    scene.until(lambda: client.of(HEADERS, 1))
    for _ in range(300):
        client.send(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"))
        scene.turn()
        if door.over:
            break
    scene.until(ended_calmly(client))


def test_a_client_that_pings_per_answer_stays(scene: Scene) -> None:
    # What gRPC clients do to estimate bandwidth.
    door, client = scene.raw_server(answer)
    encoder = Encoder()
    for number in range(300):
        stream = 2 * number + 1
        client.send(frame(PING, 0, 0, b"12345678") + headers_frame(stream, encoder=encoder))
        client.send(frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"))
        scene.until(partial(client.of, DATA, stream))
    assert not door.over
    assert len(client.of(PING)) == 300


def test_a_burst_of_window_updates_after_a_burst_of_answers_stays(scene: Scene) -> None:
    def big(peer: Any, name: str) -> None:
        if name == "head":
            peer.respond(200)
            peer.send(b"x" * 60_000, end=True)

    door, client = scene.server(big, max_concurrent_streams=250)
    streams = [client.request() for _ in range(200)]
    scene.until(lambda: all(client.ended(s) for s in streams), timeout_s=20)
    assert not door.over
    assert all(len(client.bodies[s]) == 60_000 for s in streams)
    assert len(client.of(h2.events.ConnectionTerminated)) == 0
