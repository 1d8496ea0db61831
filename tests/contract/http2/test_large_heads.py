"""Heads and trailers of any size: over the limit they cost their stream, within it they pass whole, and the
tables of both ends stay in step.
"""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hpack import Decoder, Encoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from tests.contract.http2.peers import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    POST,
    REQUEST,
    Scene,
    frame,
    headers_frame,
)

PRIORITY_FLAG = 0x20
CALM = 11
MIB = 1 << 20
# Around what libnghttp2 takes, around each remainder of what stands in for the rest, and far beyond.
SIZES = [65_535, 65_536, 65_537, 65_538, 65_666, 65_667, 81_920, 100_000, 102_400, 300_001]


def pieces(block: bytes, stream: int, *, end: bool = True, size: int = 16_384) -> bytes:
    """The block in as many frames as it needs."""
    parts = [block[at : at + size] for at in range(0, len(block), size)] or [b""]
    wire = b""
    for at, part in enumerate(parts):
        flags = END_HEADERS if at == len(parts) - 1 else 0
        if at == 0:
            wire += frame(HEADERS, flags | (END_STREAM if end else 0), stream, part)
        else:
            wire += frame(CONTINUATION, flags, stream, part)
    return wire


def text(size: int, seed: int = 1) -> str:
    """Of all characters that a value may have, so that their codes have many lengths."""
    letters = [chr(c) for c in (*range(0x21, 0x7F), *range(0x80, 0x100))]
    return "".join(random.Random(seed).choices(letters, k=size))


class _Huffman:
    """The code of `hpack` in linear time."""

    def __init__(self) -> None:
        pairs = zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)
        self.codes = [f"{code:0{size}b}" for code, size in pairs]

    def encode(self, value: bytes) -> bytes:
        bits = "".join(self.codes[byte] for byte in value)
        bits += "1" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""


def encoded(encoder: Encoder, fields: list[tuple[str, str]], *, huffman: bool) -> bytes:
    encoder.huffman_coder = _Huffman()
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    return encoder.encode(raw, huffman=huffman)


def fields_of(peer: Any) -> list[tuple[bytes, bytes]]:
    return list(peer.events[0][1]["fields"])


@pytest.mark.parametrize("huffman", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_long_field_within_the_limit_arrives_whole(
    scene: Scene, size: int, *, huffman: bool
) -> None:
    door, client = scene.raw_server(header_list_bytes=MIB)
    encoder = Encoder()
    value = text(size)
    fields = [("a", "first"), ("x-big", value), ("b", "second")]
    client.send(pieces(encoded(encoder, [*REQUEST, *fields], huffman=huffman), 1))
    client.send(pieces(encoded(encoder, [*REQUEST, ("b", "second")], huffman=huffman), 3))
    scene.until(lambda: len(door.peers) == 2)
    expected = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    assert fields_of(door.peers[0]) == expected
    assert fields_of(door.peers[1]) == [(b"b", b"second")]


@pytest.mark.parametrize("huffman", [False, True])
@pytest.mark.parametrize("size", SIZES[2:])
def test_a_long_field_over_the_limit_costs_its_request(
    scene: Scene, size: int, *, huffman: bool
) -> None:
    door, client = scene.raw_server(max_frame_size=65_535)
    encoder = Encoder()
    client.send(headers_frame(1, POST, end=False, encoder=encoder))
    big = [*REQUEST, ("a", "first"), ("x-big", text(size)), ("b", "second")]
    client.send(pieces(encoded(encoder, big, huffman=huffman), 3, size=65_535))
    client.send(pieces(encoded(encoder, [*REQUEST, ("b", "second")], huffman=huffman), 5))
    scene.until(lambda: len(door.peers) == 2)
    assert fields_of(door.peers[1]) == [(b"b", b"second")]
    scene.until(lambda: client.reset_code(3) is not None or client.of(HEADERS, 3))
    if client.of(HEADERS, 3):
        assert b"431" in client.of(HEADERS, 3)[0][3]
    else:
        assert client.reset_code(3) == CALM
    door.peers[0].respond(200, end=True)
    scene.until(lambda: client.of(HEADERS, 1))


def cut_at(wire: bytes, seed: int) -> Iterator[bytes]:
    choose = random.Random(seed)
    at = 0
    while at < len(wire):
        step = choose.choice([1, 2, 3, 9, 100, 5000, 30_000])
        yield wire[at : at + step]
        at += step


@pytest.mark.parametrize("seed", range(6))
def test_long_fields_may_be_cut_anywhere(scene: Scene, seed: int) -> None:
    door, client = scene.raw_server(header_list_bytes=MIB)
    encoder = Encoder()
    fields = [("x-a", text(70_000, seed)), ("y", "small"), ("x-b", text(66_000 + seed, seed))]
    plain = headers_frame(1, encoder=encoder)
    first = encoded(encoder, [*REQUEST, *fields], huffman=seed % 2 == 0)
    second = encoded(encoder, [*REQUEST, ("y", "small"), fields[0]], huffman=seed % 2 == 1)
    wire = plain + pieces(first, 3) + pieces(second, 5) + headers_frame(7, encoder=encoder)
    for part in cut_at(wire, seed):
        client.send(part)
        scene.turn()
    scene.until(lambda: len(door.peers) == 4)
    expected = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    assert fields_of(door.peers[1]) == expected
    assert fields_of(door.peers[2]) == [expected[1], expected[0]]


@pytest.mark.parametrize("pad", [0, 1, 200])
def test_padding_and_priority_are_no_part_of_the_block(scene: Scene, pad: int) -> None:
    door, client = scene.raw_server(header_list_bytes=MIB)
    block = encoded(Encoder(), [*REQUEST, ("x", "y" * 70_000)], huffman=False)
    lead = bytes([pad]) + b"\0\0\0\0\x10"
    flags = END_STREAM | PADDED | PRIORITY_FLAG
    client.send(frame(HEADERS, flags, 1, lead + block[:10_000] + b"\0" * pad))
    rest = block[10_000:]
    for at in range(0, len(rest), 16_384):
        last = at + 16_384 >= len(rest)
        part = rest[at : at + 16_384]
        client.send(frame(CONTINUATION, END_HEADERS if last else 0, 1, part))
    scene.until(lambda: door.peers)
    assert fields_of(door.peers[0]) == [(b"x", b"y" * 70_000)]


@pytest.mark.parametrize("huffman", [False, True])
def test_a_long_name_costs_its_request_and_empties_the_table(
    scene: Scene, *, huffman: bool
) -> None:
    door, client = scene.raw_server(header_list_bytes=MIB)
    encoder = Encoder()
    fields = [("before", "1"), ("n" * 110_000, "v" * 300), ("after", "2")]
    client.send(pieces(encoded(encoder, [*REQUEST, *fields], huffman=huffman), 1))
    client.send(headers_frame(3, [*REQUEST, ("after", "2")], encoder=encoder))
    scene.until(lambda: door.peers)
    assert fields_of(door.peers[0]) == [(b"after", b"2")]
    scene.until(lambda: client.reset_code(1) is not None)
    assert not door.over


def test_a_long_path_costs_its_request(scene: Scene) -> None:
    door, client = scene.raw_server(header_list_bytes=MIB)
    encoder = Encoder()
    fields = [REQUEST[0], REQUEST[1], (":path", "/" + "p" * 90_000), REQUEST[3]]
    client.send(pieces(encoded(encoder, fields, huffman=False), 1))
    client.send(headers_frame(3, encoder=encoder))
    scene.until(lambda: door.peers)
    scene.until(lambda: client.reset_code(1) is not None)
    assert not door.over


def test_a_value_that_no_field_may_have_is_refused_however_long(scene: Scene) -> None:
    door, client = scene.raw_server(header_list_bytes=MIB)
    encoder = Encoder()
    fields = [*REQUEST, ("x", "a" * 70_000 + "\r\nx: y" + "a" * 100)]
    client.send(pieces(encoded(encoder, fields, huffman=False), 1))
    client.send(headers_frame(3, encoder=encoder))
    scene.until(lambda: door.peers)
    scene.until(lambda: client.reset_code(1) is not None)
    assert len(door.peers) == 1


def test_a_string_that_is_no_huffman_code_costs_its_request(scene: Scene) -> None:
    door, client = scene.raw_server(header_list_bytes=MIB)
    block = encoded(Encoder(), REQUEST, huffman=False)
    # Eight ones and more begin no code that may come.
    client.send(pieces(block + b"\0\x01x\xff\xf1\xa1\x04" + b"\xff" * 70_000, 1))
    client.send(headers_frame(3))
    scene.until(lambda: door.peers)
    scene.until(lambda: client.reset_code(1) is not None)
    assert not door.over


@pytest.mark.parametrize(
    "trailers",
    [[("x", "y" * 81_920)], [(f"x-{n}", "v") for n in range(450)]],
    ids=["one of 80 KiB", "450 small ones"],
)
def test_large_trailers_of_an_endpoint_cost_their_stream(
    scene: Scene, trailers: list[tuple[str, str]]
) -> None:
    door, server = scene.raw_client()
    asked, other = door.open(), door.open()
    for peer in (asked, other):
        peer.request(b"GET", b"/")
    scene.until(lambda: len(server.of(HEADERS)) == 2)
    encoder = Encoder()
    for stream in (1, 3):
        server.send(headers_frame(stream, [(":status", "200")], end=False, encoder=encoder))
    server.send(pieces(encoded(encoder, trailers, huffman=False), 1))
    server.send(headers_frame(3, [("fine", "1")], encoder=encoder))
    scene.until(lambda: other.ended)
    assert asked.events[-1] == ("reset", "protocol", CALM, False)
    assert other.events[-1] == ("trailers", [(b"fine", b"1")])
    assert not door.over


def test_a_grpc_call_with_too_many_fields_gets_a_status(scene: Scene) -> None:
    door, client = scene.raw_server()
    fields = [*POST, ("content-type", "application/grpc"), *[(f"x-{n}", "v") for n in range(110)]]
    client.send(headers_frame(1, fields) + headers_frame(3))
    scene.until(lambda: door.peers and client.of(HEADERS, 1))
    answer = client.of(HEADERS, 1)[0][3]
    statuses = dict(Decoder().decode(answer))
    assert statuses["grpc-status"] == "8"
    assert len(door.peers) == 1


def test_what_does_not_count(scene: Scene) -> None:
    door, client = scene.raw_server(header_fields=20)
    ours = [(f"l5d-{n}", "v") for n in range(10)]
    crumbs = [("cookie", f"c{n}=v") for n in range(60)]
    fields = [*REQUEST, *ours, *[(f"x-{n}", "v") for n in range(19)], *crumbs]
    client.send(headers_frame(1, fields))
    scene.until(lambda: door.peers)
    assert len(fields_of(door.peers[0])) == 10 + 19 + 1


@pytest.mark.parametrize("count", [450, 8000])
def test_the_rest_of_a_head_that_is_refused_keeps_the_table(scene: Scene, count: int) -> None:
    door, client = scene.raw_server()
    encoder = Encoder()
    fields = [*REQUEST, *[(f"x-{n}", "v") for n in range(count)], ("kept", "1")]
    client.send(pieces(encoded(encoder, fields, huffman=True), 1))
    client.send(headers_frame(3, [*REQUEST, ("kept", "1")], encoder=encoder))
    scene.until(lambda: door.peers)
    assert fields_of(door.peers[0]) == [(b"kept", b"1")]
    scene.until(lambda: client.reset_code(1) == CALM)
    assert client.of(DATA) == []
