"""What a client must not send: each is refused, and nothing of it reaches an exchange as a whole message."""

from typing import Any

import pytest
from hpack import Encoder
from hpack.struct import NeverIndexedHeaderTuple

from tests.contract.http2.peers import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    POST,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Scene,
    frame,
    headers_frame,
)

PROTOCOL_ERROR = 1
ENHANCE_YOUR_CALM = 11
METHOD, SCHEME, PATH, AUTHORITY = REQUEST

MALFORMED = {
    "no method": [SCHEME, PATH, AUTHORITY],
    "no scheme": [METHOD, PATH, AUTHORITY],
    "no path": [METHOD, SCHEME, AUTHORITY],
    "no authority and no host": [METHOD, SCHEME, PATH],
    "empty method": [(":method", ""), SCHEME, PATH, AUTHORITY],
    "empty path": [METHOD, SCHEME, (":path", ""), AUTHORITY],
    "empty authority": [METHOD, SCHEME, PATH, (":authority", "")],
    "empty host": [METHOD, SCHEME, PATH, ("host", "")],
    "path without a slash": [METHOD, SCHEME, (":path", "admin"), AUTHORITY],
    "path without a slash, odd scheme": [METHOD, (":scheme", "x"), (":path", "admin"), AUTHORITY],
    "asterisk for GET": [METHOD, SCHEME, (":path", "*"), AUTHORITY],
    "fragment": [METHOD, SCHEME, (":path", "/a#b"), AUTHORITY],
    "user information": [METHOD, SCHEME, PATH, (":authority", "user@test")],
    "two paths": [METHOD, SCHEME, PATH, PATH, AUTHORITY],
    "two authorities": [*REQUEST, AUTHORITY],
    "another host": [*REQUEST, ("host", "other")],
    "two hosts": [*REQUEST, ("host", "test"), ("host", "test")],
    "unknown pseudo-header": [*REQUEST, (":surprise", "1")],
    "response pseudo-header": [*REQUEST, (":status", "200")],
    "late pseudo-header": [METHOD, SCHEME, ("x", "y"), PATH, AUTHORITY],
    "upper-case name": [*REQUEST, ("X-Upper", "1")],
    "empty name": [*REQUEST, ("", "1")],
    "space in a name": [*REQUEST, ("x y", "1")],
    "colon in a name": [*REQUEST, ("x:y", "1")],
    "newline in a name": [*REQUEST, ("x\ny", "1")],
    "NUL in a value": [*REQUEST, ("x", "a\0b")],
    "CR in a value": [*REQUEST, ("x", "a\rb")],
    "LF in a value": [*REQUEST, ("x", "a\nb")],
    "leading space in a value": [*REQUEST, ("x", " a")],
    "space in a path": [METHOD, SCHEME, (":path", "/a b"), AUTHORITY],
    "CRLF in a path": [METHOD, SCHEME, (":path", "/a\r\nx: y"), AUTHORITY],
    "space in a method": [(":method", "GE T"), SCHEME, PATH, AUTHORITY],
    "CRLF in an authority": [METHOD, SCHEME, PATH, (":authority", "a\r\nb")],
    "connection": [*REQUEST, ("connection", "keep-alive")],
    "keep-alive": [*REQUEST, ("keep-alive", "5")],
    "proxy-connection": [*REQUEST, ("proxy-connection", "close")],
    "transfer-encoding": [*REQUEST, ("transfer-encoding", "chunked")],
    "upgrade": [*REQUEST, ("upgrade", "websocket")],
    "te other than trailers": [*REQUEST, ("te", "gzip")],
    "length that is no number": [*REQUEST, ("content-length", "1x")],
    "negative length": [*REQUEST, ("content-length", "-1")],
    "two lengths": [*REQUEST, ("content-length", "1"), ("content-length", "2")],
    "extended CONNECT": [(":method", "CONNECT"), (":protocol", "websocket"), *REQUEST[1:]],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_reset_and_never_seen(
    scene: Scene, fields: list[tuple[str, str]]
) -> None:
    # What a reset costs is owed for a second: at the usual rate it is forgiven before a busy machine looks.
    door, client = scene.raw_server(reset_rate=1)
    client.send(headers_frame(1, fields) + headers_frame(3))
    scene.until(lambda: door.peers)
    scene.until(lambda: client.reset_code(1) is not None)
    assert client.reset_code(1) == PROTOCOL_ERROR
    assert len(door.peers) == 1  # stream 3: the connection lives on
    assert door.streams == 1
    assert door.budgets[1] == 1  # provoked by the client: it is charged


@pytest.mark.parametrize(
    "pieces",
    [
        frame(DATA, END_STREAM, 1, b"four"),
        frame(DATA, 0, 1, b"four") + frame(DATA, END_STREAM, 1, b"fours"),
        frame(DATA, 0, 1, b"four") + headers_frame(1, [("x", "y")]),
        frame(DATA, END_STREAM, 1),
    ],
    ids=["short", "long", "short before trailers", "empty"],
)
def test_a_body_that_belies_its_length_never_ends(scene: Scene, pieces: bytes) -> None:
    door, client = scene.raw_server()
    client.send(headers_frame(1, [*POST, ("content-length", "7")], end=False) + pieces)
    scene.until(lambda: client.reset_code(1) is not None)
    assert client.reset_code(1) == PROTOCOL_ERROR
    names = door.peers[0].names()
    assert "end" not in names
    assert "trailers" not in names
    assert names[-1] == "reset"


@pytest.mark.parametrize(
    "fields",
    [[(":path", "/")], [("X", "y")], [("x", "a\nb")], [("connection", "close")]],
    ids=["pseudo-header", "upper-case", "newline", "connection"],
)
def test_malformed_trailers_end_nothing(scene: Scene, fields: list[tuple[str, str]]) -> None:
    door, client = scene.raw_server()
    client.send(headers_frame(1, POST, end=False) + headers_frame(1, fields))
    scene.until(lambda: client.reset_code(1) is not None)
    assert client.reset_code(1) == PROTOCOL_ERROR
    assert door.peers[0].names() == ["head", "reset"]


def test_trailers_without_an_end_are_refused(scene: Scene) -> None:
    door, client = scene.raw_server()
    client.send(headers_frame(1, POST, end=False) + headers_frame(1, [("x", "y")], end=False))
    scene.until(lambda: client.reset_code(1) is not None or client.goaway)
    assert door.peers[0].names() == ["head", "reset"]


BROKEN = {
    "no preface": b"GET / HTTP/1.1\r\nhost: test\r\n\r\n",
    "preface cut by other bytes": PREFACE[:20] + b"XXXX",
    "no SETTINGS first": PREFACE + headers_frame(1),
    "HEADERS on stream 0": PREFACE + frame(SETTINGS) + headers_frame(0),
    "HEADERS on an even stream": PREFACE + frame(SETTINGS) + headers_frame(2),
    "DATA on stream 0": PREFACE + frame(SETTINGS) + frame(DATA, 0, 0, b"x"),
    "DATA on an idle stream": PREFACE + frame(SETTINGS) + frame(DATA, 0, 1, b"x"),
    "RST_STREAM on an idle stream": PREFACE + frame(SETTINGS) + frame(RST_STREAM, 0, 1, b"\0" * 4),
    "RST_STREAM too short": PREFACE + frame(SETTINGS) + frame(RST_STREAM, 0, 1, b"\0" * 3),
    "SETTINGS of five bytes": PREFACE + frame(SETTINGS, 0, 0, b"\0" * 5),
    "SETTINGS on a stream": PREFACE + frame(SETTINGS, 0, 1),
    "window size over 2^31-1": PREFACE + frame(SETTINGS, 0, 0, b"\0\x04\xff\xff\xff\xff"),
    "frame size below 16384": PREFACE + frame(SETTINGS, 0, 0, b"\0\x05\0\0\0\x01"),
    "frame over the size we take": PREFACE + frame(SETTINGS) + frame(DATA, 0, 1, b"x" * 16_385),
    "WINDOW_UPDATE of zero": PREFACE + frame(SETTINGS) + frame(WINDOW_UPDATE, 0, 0, b"\0" * 4),
    "window overflow": PREFACE
    + frame(SETTINGS)
    + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2,
    "CONTINUATION out of place": PREFACE + frame(SETTINGS) + frame(CONTINUATION, 4, 1, b""),
    "another frame inside a header block": PREFACE
    + frame(SETTINGS)
    + frame(HEADERS, END_STREAM, 1, Encoder().encode(REQUEST))
    + frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
    "PADDED without its length": PREFACE
    + frame(SETTINGS)
    + frame(HEADERS, END_HEADERS | PADDED, 1),
    "more padding than frame": PREFACE
    + frame(SETTINGS)
    + frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + Encoder().encode(REQUEST)),
    "PRIORITY flag without its bytes": PREFACE
    + frame(SETTINGS)
    + frame(HEADERS, END_HEADERS | 0x20, 1, b"\0\0"),
    "PUSH_PROMISE of a client": PREFACE + frame(SETTINGS) + frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2"),
    "index beyond the table": PREFACE + frame(SETTINGS) + frame(HEADERS, 5, 1, b"\xff\x80\x01"),
    "index 0": PREFACE + frame(SETTINGS) + frame(HEADERS, 5, 1, b"\x80"),
    "endless integer": PREFACE + frame(SETTINGS) + frame(HEADERS, 5, 1, b"\xff" + b"\xff" * 20),
    "table over its limit": PREFACE + frame(SETTINGS) + frame(HEADERS, 5, 1, b"\x3f\xe2\x1f\x82"),
    "broken Huffman": PREFACE
    + frame(SETTINGS)
    + frame(HEADERS, 5, 1, b"\x00\x81\x00\x84\xff\xff\xff\xff"),
    "forty SETTINGS entries": PREFACE + frame(SETTINGS, 0, 0, b"\0\x03\0\0\0\x01" * 40),
}


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_connection_is_ended_with_goaway(scene: Scene, wire: bytes) -> None:
    door, client = scene.fresh_server(wire)
    scene.until(lambda: client.closed)
    assert client.goaway is not None
    assert client.goaway[1] != 0
    assert door.over
    assert door.peers == []


def test_nothing_after_the_fatal_frame_is_read(scene: Scene) -> None:
    # The end was decided in the same read: what follows must not become an exchange.
    fatal = frame(WINDOW_UPDATE, 0, 0, b"\0" * 4)
    wire = PREFACE + frame(SETTINGS) + headers_frame(1) + fatal + headers_frame(3)
    door, client = scene.fresh_server(wire)
    scene.until(lambda: client.closed)
    assert len(door.peers) == 1
    assert door.peers[0].names() == ["head", "reset"]


def test_a_head_over_the_byte_limit_is_answered_431(scene: Scene) -> None:
    door, client = scene.raw_server(header_list_bytes=4096)
    client.send(headers_frame(1, [*REQUEST, ("x", "y" * 5000)]) + headers_frame(3))
    scene.until(lambda: client.of(HEADERS, 1) and door.peers)
    assert b"431" in client.of(HEADERS, 1)[0][3]
    assert len(door.peers) == 1


def test_a_head_over_the_field_limit_is_answered_431(scene: Scene) -> None:
    door, client = scene.raw_server(header_fields=20)
    client.send(
        headers_frame(1, [*REQUEST, *[("x", "a")] * 21]) + headers_frame(3, POST, end=False)
    )
    scene.until(lambda: client.of(HEADERS, 1) and door.peers)
    assert b"431" in client.of(HEADERS, 1)[0][3]
    assert len(door.peers) == 1


def test_an_upload_behind_a_431_is_stopped(scene: Scene) -> None:
    _, client = scene.raw_server(header_fields=20)
    client.send(headers_frame(1, [*POST, *[("x", "a")] * 21], end=False))
    scene.until(lambda: client.reset_code(1) is not None)
    assert client.reset_code(1) == 0


def test_oversized_trailers_reset_the_stream(scene: Scene) -> None:
    door, client = scene.raw_server(header_fields=20)
    client.send(headers_frame(1, POST, end=False) + headers_frame(1, [("x", "y")] * 21))
    scene.until(lambda: client.reset_code(1) is not None)
    assert client.reset_code(1) == ENHANCE_YOUR_CALM
    assert door.peers[0].events[-1] == ("reset", "protocol", ENHANCE_YOUR_CALM)


def test_sensitive_fields_and_known_names_pass(scene: Scene) -> None:
    door, client = scene.raw_server()
    secret: Any = NeverIndexedHeaderTuple("authorization", "secret")
    fields = [*REQUEST, secret, ("te", "trailers")]
    client.send(headers_frame(1, fields))
    scene.until(lambda: door.peers)
    assert door.peers[0].events[0][1]["fields"] == [
        (b"authorization", b"secret"),
        (b"te", b"trailers"),
    ]


STREAM_CLOSED = 5


def test_data_after_the_end_of_a_stream_is_refused(scene: Scene) -> None:
    door, client = scene.raw_server(lambda peer, name: peer.respond(200, end=True))
    client.send(headers_frame(1))
    scene.until(lambda: client.of(HEADERS, 1))
    client.send(frame(DATA, 0, 1, b"late") + headers_frame(3))
    scene.until(lambda: client.of(HEADERS, 3))
    assert client.reset_code(1) == STREAM_CLOSED
    assert not door.over


@pytest.mark.parametrize(
    "late",
    [frame(DATA, 0, 1, b"late"), headers_frame(1, [("x", "y")])],
    ids=["body", "trailers"],
)
@pytest.mark.parametrize("together", [True, False])
def test_what_follows_the_client_s_own_reset_is_refused(
    scene: Scene, late: bytes, together: bool
) -> None:
    door, client = scene.raw_server()
    client.send(headers_frame(1, POST, end=False) + frame(RST_STREAM, 0, 1, b"\0\0\0\x08"))
    if not together:
        scene.until(lambda: door.peers and door.streams == 0)
    client.send(late + headers_frame(3))
    scene.until(lambda: len(door.peers) == 2)
    scene.until(lambda: client.reset_code(1) is not None)
    assert client.reset_code(1) == STREAM_CLOSED
    assert door.streams == 1


def test_a_head_after_the_end_of_a_stream_ends_the_connection(scene: Scene) -> None:
    _, client = scene.raw_server(lambda peer, name: peer.respond(200, end=True))
    client.send(headers_frame(1))
    scene.until(lambda: client.of(HEADERS, 1))
    client.send(headers_frame(1))
    scene.until(lambda: client.closed)
    assert client.goaway == (1, STREAM_CLOSED)


def test_a_stream_below_the_last_ends_the_connection(scene: Scene) -> None:
    door, client = scene.raw_server()
    client.send(headers_frame(5) + headers_frame(3))
    scene.until(lambda: client.closed)
    assert client.goaway == (5, PROTOCOL_ERROR)
    assert len(door.peers) == 1


def test_what_was_under_way_when_we_reset_a_stream_is_forgiven(scene: Scene) -> None:
    door, client = scene.raw_server(lambda peer, name: name == "head" and peer.reset(2))
    client.send(headers_frame(1, POST, end=False))
    scene.until(lambda: client.reset_code(1) is not None)
    client.send(frame(DATA, 0, 1, b"x") + headers_frame(1, [("x", "y")]) + headers_frame(3))
    scene.until(lambda: client.reset_code(3) is not None)
    assert len(client.of(RST_STREAM)) == 2
    assert not door.over


def test_what_follows_a_refused_head_at_once_is_forgiven(scene: Scene) -> None:
    # Our SETTINGS are not acknowledged: what is beyond the limit is refused for itself.
    opening = PREFACE + frame(SETTINGS)
    door, client = scene.fresh_server(opening, max_concurrent_streams=1)
    trailers = [("x", "y")]
    client.send(headers_frame(1, POST, end=False))
    for stream in (3, 5):
        client.send(headers_frame(stream, POST, end=False))
    client.send(headers_frame(3, trailers) + headers_frame(5, trailers))
    scene.until(lambda: client.reset_code(5) is not None)
    scene.settle()
    assert [f[3][-1] for f in client.of(RST_STREAM)] == [7, 7]
    assert not door.over
