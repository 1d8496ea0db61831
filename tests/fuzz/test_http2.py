"""Hostile and oddly cut bytes against the HTTP/2 codec: the same story however it arrives, an end but never a
crash or a leak.
"""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hpack import Encoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http2.testing import ClientDoor, ServerDoor
from linkerd2_py._ext.io.loop import Loop
from tests.contract.http2.peers import (
    DATA,
    END_STREAM,
    PING,
    POST,
    PREFACE,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    Scene,
    frame,
    headers_frame,
)

reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def scene() -> Iterator[Scene]:
    failures: list[str] = []
    loop = Loop()
    loop.on_error = lambda error, actor: failures.append(repr(error))
    scene = Scene(loop)
    yield scene
    scene.close()
    assert not failures


def story() -> bytes:
    encoder = Encoder()
    return b"".join(
        [
            PREFACE,
            frame(SETTINGS, 0, 0, b"\0\x04\0\1\0\0"),
            headers_frame(1, [*REQUEST, ("cookie", "a=1"), ("cookie", "b=2")], encoder=encoder),
            headers_frame(3, [*POST, ("content-length", "11")], end=False, encoder=encoder),
            frame(DATA, 0, 3, b"hello "),
            frame(PING, 0, 0, b"abcdefgh"),
            headers_frame(5, POST, end=False, encoder=encoder),
            frame(DATA, END_STREAM, 3, b"world"),
            frame(RST_STREAM, 0, 5, b"\0\0\0\x08"),
            headers_frame(7, POST, end=False, encoder=encoder),
            frame(DATA, 8, 7, b"\x03pad\0\0\0"),
            headers_frame(7, [("x-sum", "1")], encoder=encoder),
        ]
    )


def told(door: ServerDoor) -> list[list[Any]]:
    """What each peer heard, with body runs joined."""
    return [[peer.body, *(e for e in peer.events if e[0] != "body")] for peer in door.peers]


def play(scene: Scene, wire: bytes, cuts: list[int]) -> ServerDoor:
    door, client = scene.fresh_server(b"")
    for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        client.send(wire[start:stop])
        scene.turn()
    scene.settle()
    return door


def test_a_story_is_the_same_byte_by_byte(scene: Scene) -> None:
    wire = story()
    whole = play(scene, wire, [])
    slow = play(scene, wire, list(range(1, len(wire))))
    assert told(slow) == told(whole)
    assert [events[-1][0] for events in told(whole)] == ["head", "end", "reset", "trailers"]


@reuse
@given(cuts=st.lists(st.integers(1, len(story()) - 1), max_size=8, unique=True))
def test_a_story_is_the_same_however_it_is_cut(scene: Scene, cuts: list[int]) -> None:
    door = play(scene, story(), sorted(cuts))
    assert [peer.body for peer in door.peers] == [b"", b"hello world", b"", b"pad"]
    assert [peer.names()[-1] for peer in door.peers] == ["head", "end", "reset", "trailers"]
    door.abort()


frames = st.one_of(
    st.builds(
        frame,
        st.integers(0, 10),
        st.integers(0, 255),
        st.sampled_from([0, 1, 3, 5, 7, 2, 2**31 - 1]),
        st.binary(max_size=64),
    ),
    st.builds(headers_frame, st.sampled_from([1, 3, 5, 7]), end=st.booleans()),
    st.builds(
        lambda stream, flags, body: frame(DATA, flags, stream, body),
        st.sampled_from([1, 3, 5, 7]),
        st.sampled_from([0, 1, 8, 9]),
        st.binary(max_size=200),
    ),
    st.binary(max_size=30),
)


def react(seed: int) -> Any:
    """A peer that does something legal, often at an awkward moment."""
    chance = random.Random(seed)
    done: set[int] = set()

    def on_event(peer: Any, name: str) -> None:
        act = chance.randrange(8)
        if name == "reset" or id(peer) in done:
            return
        if act == 0:
            done.add(id(peer))
            peer.reset(chance.choice([0, 2, 7, 8]))
        elif act == 1:
            done.add(id(peer))
            peer.respond(200, end=True)
        elif act == 2:
            done.add(id(peer))
            peer.respond(200)
            peer.send(b"x" * chance.choice([0, 1, 70_000]), end=True)
        elif act == 3:
            peer.hold()
        elif act == 4:
            peer.unhold()
        elif act == 5:
            peer.release_head()
        elif act == 6:
            done.add(id(peer))
            peer.respond(200)
            peer.trailers([(b"x", b"y")])

    return on_event


@reuse
@given(pieces=st.lists(frames, max_size=25), seed=st.integers(0, 1000))
def test_any_frames_end_in_order(scene: Scene, pieces: list[bytes], seed: int) -> None:
    wire = PREFACE + frame(SETTINGS) + b"".join(pieces)
    door, client = scene.fresh_server(wire, react(seed))
    scene.turn()
    scene.turn()
    client.sock.close()
    client.closed = True
    scene.until(lambda: door.over)
    assert door.streams == 0
    assert door.queued == 0
    for peer in door.peers:
        assert peer.names().count("end") + peer.names().count("trailers") <= 1
        assert peer.names().count("reset") <= 1
    door.abort()
    scene.peers.remove(client)
    scene.doors.remove(door)


@reuse
@given(pieces=st.lists(frames, max_size=25))
def test_any_frames_of_an_endpoint_end_in_order(scene: Scene, pieces: list[bytes]) -> None:
    door, server = scene.raw_client()
    peers = [door.open() for _ in range(3)]
    for peer in peers:
        peer.request(b"POST", b"/", end=False)
        peer.send(b"x" * 1000)
    server.send(b"".join(pieces))
    scene.turn()
    scene.turn()
    server.sock.close()
    server.closed = True
    scene.until(lambda: door.over)
    assert door.live() == 0
    assert door.queued == 0
    for peer in peers:
        names = peer.names()
        assert names.count("reset") <= 1
        assert "reset" in names or "end" in names or "trailers" in names or peer.ended
    door.abort()
    scene.peers.remove(server)
    scene.doors.remove(door)


@reuse
@given(
    sizes=st.lists(st.integers(0, 120_000), min_size=1, max_size=6),
    windows=st.sampled_from([1, 100, 65_535, 1_000_000]),
    trailers=st.booleans(),
)
def test_bodies_cross_from_our_client_to_our_server_and_back(
    scene: Scene, sizes: list[int], windows: int, trailers: bool
) -> None:
    windows = max(windows, max(sizes) // 500)  # else it takes for ever
    limits = Limits(initial_stream_window=windows, anomaly_budget=1_000_000)

    def echo(peer: Any, name: str) -> None:
        if name == "head":
            peer.respond(200)
        elif name == "trailers":
            peer.send(peer.body)
            peer.trailers(peer.events[-1][1])
        elif name == "end":
            peer.send(peer.body, end=True)

    fd, sock = scene.sockets()
    server = ServerDoor(scene.loop, fd, limits, echo)
    client = ClientDoor(scene.loop, sock.detach(), limits)
    scene.doors += [server, client]
    peers = [client.open() for _ in sizes]
    for number, (peer, size) in enumerate(zip(peers, sizes, strict=True)):
        peer.request(b"POST", b"/", end=False)
        peer.send(bytes([number]) * size, end=not trailers)
        if trailers:
            peer.trailers([(b"x-n", b"%d" % number)])
    scene.until(lambda: all(peer.ended for peer in peers), timeout_s=20)
    for number, (peer, size) in enumerate(zip(peers, sizes, strict=True)):
        assert peer.body == bytes([number]) * size
        assert not trailers or peer.events[-1] == ("trailers", [(b"x-n", b"%d" % number)])
    scene.until(lambda: server.streams == client.live() == 0)
    server.abort()
    client.abort()
    scene.doors.clear()


representations = st.one_of(
    st.sampled_from([b"\x82", b"\x90", b"\x20", b"\x3f\xe1\x1f", b"\xff\x80\x01"]),
    st.builds(
        lambda first, length, fill: first + length + fill,
        st.sampled_from(
            [b"\x00", b"\x40", b"\x10", b"\x40\x01a", b"\x00\x01b", b"\x0f\x02", b"\x7e"]
        ),
        st.sampled_from(
            [
                b"\x00",
                b"\x05",
                b"\x85",
                b"\x7f\x00",
                b"\x7f\x81\xff\x03",
                b"\x7f\xf1\xa2\x04",
                b"\xff\xf1\xa2\x04",
                b"\x7f\x80\x80\x80\x01",
                b"\xff\x80\x80\x04",
            ]
        ),
        st.integers(0, 70_000).map(lambda n: b"a" * n) | st.binary(max_size=50),
    ),
    st.binary(max_size=20),
)


@reuse
@given(st.lists(representations, max_size=8), st.integers(0, 1000))
def test_blocks_that_span_frames_never_break_anything(
    scene: Scene, pieces: list[bytes], seed: int
) -> None:
    choose = random.Random(seed)
    block = Encoder().encode(REQUEST, huffman=False) + b"".join(pieces)
    door, client = scene.fresh_server(PREFACE + frame(SETTINGS), header_list_bytes=100_000)
    wire = b""
    at, kind = 0, 1
    while at < len(block):
        step = choose.choice([1, 9, 500, 16_384])
        last = at + step >= len(block)
        wire += frame(kind, 4 if last else 0, 1, block[at : at + step])
        at, kind = at + step, 9
    wire += headers_frame(3)
    at = 0
    while at < len(wire) and not client.closed:
        step = choose.choice([1, 100, 70_000])
        client.send(wire[at : at + step])
        scene.turn()
        at += step
    door.shut()
    client.sock.close()
    scene.peers.clear()
    scene.doors.clear()
    assert door.streams == 0
