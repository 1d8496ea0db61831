"""The transport header: read as protobuf has it and no more leniently, written as protobuf writes it."""

import pytest
from google.protobuf.message import DecodeError

from linkerd2_py._ext.detect.testing import (
    TRANSPORT_HEADER_MAX,
    TRANSPORT_HEADER_ROOM,
    read_header,
    write_header,
)
from linkerd2_py.proto.gen.transport_header_pb2 import Header, SessionProtocol

PREFACE = b"transport.l5d.io/v1\r\n\r\n"
NAME = b"web-svc.emojivoto.svc.cluster.local"
LONGEST = b".".join([b"a" * 63] * 3 + [b"a" * 61])
PORT = b"\x08\x50"
BROKEN = ("broken", None)
MORE = ("more", None)
SESSIONS = {
    "opaque": None,
    "http1": SessionProtocol(http1=SessionProtocol.Http1()),
    "http2": SessionProtocol(http2=SessionProtocol.Http2()),
}


def framed(message: bytes) -> bytes:
    return PREFACE + len(message).to_bytes(4) + message


def read(message: bytes) -> tuple[int, bytes, str] | str:
    """Port, name and protocol; or more or broken."""
    wire = framed(message)
    state, found = read_header(wire + b"application")
    if found is None:
        return state
    assert found[3] == len(wire)
    return found[:3]


def by_protobuf(message: bytes) -> tuple[int, bytes, str]:
    header = Header.FromString(message)
    return header.port, header.name.encode(), header.session_protocol.WhichOneof("kind") or "opaque"


# ---- reading


@pytest.mark.parametrize("protocol", SESSIONS)
@pytest.mark.parametrize("name", [b"", NAME, NAME + b".", LONGEST, LONGEST + b"."])
@pytest.mark.parametrize("port", [1, 127, 128, 4143, 16383, 16384, 65535])
def test_what_protobuf_writes(port: int, name: bytes, protocol: str) -> None:
    header = Header(port=port, name=name.decode(), session_protocol=SESSIONS[protocol])
    wire = framed(header.SerializeToString())
    assert read_header(wire) == ("ok", (port, name, protocol, len(wire)))
    assert write_header(port, name, protocol) == wire


def test_byte_by_byte_it_is_waited_for_to_its_last() -> None:
    wire = write_header(4143, NAME, "http2")
    for count in range(len(wire)):
        assert read_header(wire[:count]) == MORE
    for rest in (b"", b"\0", wire):
        assert read_header(wire + rest) == ("ok", (4143, NAME, "http2", len(wire)))


@pytest.mark.parametrize("at", range(len(PREFACE)))
def test_another_preface_is_refused_at_its_first_wrong_byte(at: int) -> None:
    wrong = PREFACE[:at] + bytes([PREFACE[at] ^ 0x20])
    assert read_header(wrong) == BROKEN
    assert read_header(wrong + PREFACE) == BROKEN
    assert read_header(wrong[:-1]) == MORE


def padded_to(size: int) -> bytes:
    """A message of that many bytes, most of them an unknown field."""
    return PORT + b"\x7a" + encoded(size - 6) + bytes(size - 6)


def encoded(number: int) -> bytes:
    """A varint of three bytes, whatever the number."""
    return bytes([number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14])


def test_a_header_may_fill_the_bound_exactly() -> None:
    wire = framed(padded_to(TRANSPORT_HEADER_MAX - 27))
    assert len(wire) == TRANSPORT_HEADER_MAX
    assert read_header(wire) == ("ok", (80, b"", "opaque", TRANSPORT_HEADER_MAX))
    assert read_header(wire[:-1]) == MORE


@pytest.mark.parametrize("length", [TRANSPORT_HEADER_MAX - 26, 0x01000000, 0x80000000, 0xFFFFFFFF])
def test_a_longer_one_is_refused_at_its_length(length: int) -> None:
    assert read_header(PREFACE + length.to_bytes(4)[:3]) == MORE
    assert read_header(PREFACE + length.to_bytes(4)) == BROKEN


@pytest.mark.parametrize(
    "message",
    [
        # The last of repeated fields counts, in any order.
        b"\x08\x51\x08\x50",
        b"\x08\x00\x08\x50",
        b"\x12\x01a" + PORT + b"\x12\x01b",
        b"\x12\x01a" + PORT + b"\x12\x00",
        # Messages merge; of the protocols the last one stays.
        b"\x1a\x02\x0a\x00" + PORT + b"\x1a\x02\x12\x00",
        b"\x1a\x04\x12\x00\x0a\x00" + PORT,
        b"\x1a\x02\x12\x00\x1a\x00" + PORT,
        b"\x1a\x00" + PORT,
        # Unknown fields, of every type, on every level.
        b"\x20\x05\x29" + bytes(8) + b"\x32\x02\xff\xff\x3d" + bytes(4) + PORT,
        b"\x1a\x07\x1d" + bytes(4) + b"\x20\x01" + PORT,
        b"\x1a\x06\x12\x04\x0a\x02\xff\xff" + PORT,
        b"\x1a\x0c\x22\x08whatever\x12\x00" + PORT,
        b"\xf8\xff\xff\xff\x0f\x00" + PORT,
        # Varints that are longer than they must be.
        b"\x88\x00\xd0\x00",
        b"\x88\x80\x80\x80\x00\xd0\x80\x80\x80\x80\x80\x80\x80\x80\x00",
        b"\x12\x81\x80\x80\x80\x00a" + PORT,
        # Other numbers may take all of 64 bits.
        b"\x20" + b"\xff" * 9 + b"\x01" + PORT,
    ],
)
def test_what_protobuf_allows(message: bytes) -> None:
    expected = by_protobuf(message)
    assert expected[0] == 80
    assert read(message) == expected


@pytest.mark.parametrize(
    "message",
    [
        # Not whole.
        b"\x08",
        b"\x08\x80",
        PORT + b"\x12",
        PORT + b"\x12\x02a",
        PORT + b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
        PORT + b"\x1a\x01\x0a",
        PORT + b"\x1a\x03\x0a\x01\x08",
        PORT + b"\x1a\x02\x12\x01",
        PORT + b"\x29" + bytes(7),
        PORT + b"\x3d" + bytes(3),
        # No field 0, no types 6 and 7, no end without a beginning.
        b"\x00\x00" + PORT,
        b"\x02\x00" + PORT,
        b"\x1a\x02\x00\x00" + PORT,
        PORT + b"\x26\x00",
        PORT + b"\x27\x00",
        PORT + b"\x24",
        # Numbers that never end.
        b"\x88\x80\x80\x80\x80\x00\x50",
        b"\xf8\xff\xff\xff\x1f\x00" + PORT,
        b"\x08" + b"\x80" * 10 + b"\x00",
        b"\x08" + b"\xff" * 20,
        b"\x12\x81\x80\x80\x80\x80\x00a" + PORT,
        # No text.
        PORT + b"\x12\x01\xff",
        PORT + b"\x12\x01\xff\x12\x01a",
    ],
)
def test_what_protobuf_refuses(message: bytes) -> None:
    with pytest.raises(DecodeError):
        Header.FromString(message)
    assert read(message) == "broken"


@pytest.mark.parametrize(
    "message",
    [
        b"\x0b\x0c" + PORT,
        b"\x2b\x2c" + PORT,
        PORT + b"\x1a\x04\x2b\x2c\x0a\x00",
        PORT + b"\x1a\x04\x0a\x02\x2b\x2c",
        b"\x0d\x50\0\0\0" + PORT,
        b"\x0a\x01\x50" + PORT,
        b"\x10\x61" + PORT,
        b"\x18\x00" + PORT,
        PORT + b"\x1a\x02\x08\x00",
        PORT + b"\x1a\x02\x10\x00",
        b"\x08\xd0" + b"\x80" * 8 + b"\x02",
        b"\x20" + b"\xff" * 9 + b"\x02" + PORT,
    ],
)
def test_where_we_are_stricter_than_protobuf(message: bytes) -> None:
    by_protobuf(message)
    assert read(message) == "broken"


@pytest.mark.parametrize("port", [None, 0, -1, -(2**31), 65536, 2**31 - 1])
def test_a_port_that_is_none(port: int | None) -> None:
    assert read(Header(port=port, name="a").SerializeToString()) == "broken"


def test_a_port_is_not_cut_to_the_size_of_its_type() -> None:
    message = b"\x08\xd0\x80\x80\x80\x10"
    assert by_protobuf(message)[0] == 80
    assert read(message) == "broken"


def test_nothing_at_all_has_no_port() -> None:
    assert read(b"") == "broken"


@pytest.mark.parametrize(
    "name",
    [
        ".",
        "a..b",
        "*.a",
        "a b",
        "a\0",
        "a/b",
        "a:80",
        "192.0.2.1",
        "é",
        "-a",
        LONGEST.decode() + "a",
    ],
)
def test_a_name_that_is_none(name: str) -> None:
    assert read(Header(port=80, name=name).SerializeToString()) == "broken"
    assert read(Header(port=80, name=name).SerializeToString() + b"\x12\x01a") == "broken"
    assert write_header(80, name.encode(), "opaque") == b""


# ---- writing


def test_the_bytes_on_the_wire() -> None:
    assert write_header(8080, b"a.b", "http2") == bytes.fromhex(
        "7472616e73706f72742e6c35642e696f2f76310d0a0d0a 0000000c 08903f 1203612e62 1a021200"
    )
    assert write_header(80, b"", "opaque") == PREFACE + b"\0\0\0\x02\x08\x50"


@pytest.mark.parametrize("port", [0, -1, 65536, 2**31 - 1, -(2**31)])
def test_a_port_that_is_none_is_not_written(port: int) -> None:
    assert write_header(port, b"", "opaque") == b""


def test_the_longest_just_fits_the_room() -> None:
    wire = write_header(65535, LONGEST + b".", "http1", room=TRANSPORT_HEADER_ROOM)
    assert len(wire) == TRANSPORT_HEADER_ROOM
    assert write_header(65535, LONGEST + b".", "http1", room=TRANSPORT_HEADER_ROOM - 1) == b""


def test_nothing_is_written_beyond_its_room() -> None:
    for port, name, protocol in ((80, b"", "opaque"), (80, b"a", "http1"), (443, LONGEST, "http2")):
        wire = write_header(port, name, protocol)
        assert write_header(port, name, protocol, room=len(wire)) == wire
        for room in range(len(wire)):
            assert write_header(port, name, protocol, room=room) == b""
