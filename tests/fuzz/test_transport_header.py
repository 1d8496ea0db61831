"""Transport headers, generated and mutated: what we read is what protobuf reads; where we refuse and it does
not, the reason is one of ours.
"""

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.core.testing import is_name
from linkerd2_py._ext.detect.testing import read_header, write_header
from linkerd2_py.proto.gen.transport_header_pb2 import Header, SessionProtocol

PREFACE = b"transport.l5d.io/v1\r\n\r\n"
VARINT, I64, LEN, I32 = 0, 1, 2, 5
LABELS = st.from_regex(r"[A-Za-z_]([A-Za-z0-9_-]{0,20}[A-Za-z0-9_])?", fullmatch=True)
NAMES = st.just(b"") | st.lists(LABELS, min_size=1, max_size=6).map(".".join).map(str.encode)
PORTS = st.integers(1, 65535)
PROTOCOLS = st.sampled_from(["opaque", "http1", "http2"])


@dataclass(frozen=True, slots=True)
class Read:
    port: int
    name: bytes
    protocol: str


def framed(message: bytes) -> bytes:
    return PREFACE + len(message).to_bytes(4) + message


def ours(message: bytes) -> Read | None:
    state, found = read_header(framed(message))
    assert state == ("broken" if found is None else "ok")
    return None if found is None else Read(*found[:3])


def by_protobuf(message: bytes) -> Read | None:
    try:
        header = Header.FromString(message)
    except DecodeError:
        return None
    kind = header.session_protocol.WhichOneof("kind") or "opaque"
    return Read(header.port, header.name.encode(), kind)


# ---- messages as a writer of protobuf may make them


@st.composite
def varints(draw: st.DrawFn, numbers: st.SearchStrategy[int], most: int = 10) -> bytes:
    """A number, in as few bytes as it needs or in more."""
    number = draw(numbers)
    raw = bytearray()
    while number >= 0x80:
        raw.append(number & 0x7F | 0x80)
        number >>= 7
    raw.append(number)
    if extra := draw(st.integers(0, most - len(raw))):
        raw[-1] |= 0x80
        raw += b"\x80" * (extra - 1) + b"\0"
    return bytes(raw)


@st.composite
def fields(draw: st.DrawFn, number: int, wire_type: int, content: bytes) -> bytes:
    key = draw(varints(st.just(number << 3 | wire_type), most=5))
    length = draw(varints(st.just(len(content)), most=5)) if wire_type == LEN else b""
    return key + length + content


@st.composite
def unknown_fields(draw: st.DrawFn, first: int) -> bytes:
    number = draw(st.integers(first, 20) | st.integers(first, 2**29 - 1))
    wire_type = draw(st.sampled_from([VARINT, I64, LEN, I32]))
    content = {
        VARINT: varints(st.integers(0, 2**64 - 1)),
        I64: st.binary(min_size=8, max_size=8),
        LEN: st.binary(max_size=20),
        I32: st.binary(min_size=4, max_size=4),
    }[wire_type]
    return draw(fields(number, wire_type, draw(content)))


def messages(*known: st.SearchStrategy[bytes], first_unknown: int) -> st.SearchStrategy[bytes]:
    """Some of the known fields and unknown ones, in any number and order."""
    return st.lists(st.one_of(*known, unknown_fields(first_unknown)), max_size=5).map(b"".join)


def embedded(number: int, content: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return content.flatmap(lambda text: fields(number, LEN, text))


EMPTY = messages(first_unknown=1)
SESSIONS = messages(embedded(1, EMPTY), embedded(2, EMPTY), first_unknown=3)
PORT_FIELDS = varints(PORTS | st.sampled_from([0, 65536])).flatmap(
    lambda text: fields(1, VARINT, text)
)
HEADERS = messages(PORT_FIELDS, embedded(2, NAMES), embedded(3, SESSIONS), first_unknown=4)


@given(HEADERS)
def test_every_message_that_a_writer_may_make_is_read_as_protobuf_reads_it(message):
    expected = by_protobuf(message)
    assert expected is not None
    assert ours(message) == (expected if 1 <= expected.port <= 65535 else None)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    message = bytearray(draw(HEADERS.filter(bool)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(message)))
        change = draw(st.sampled_from(["set", "flip", "delete", "insert", "copy"]))
        if change == "insert" or at == len(message):
            message[at:at] = draw(st.binary(min_size=1, max_size=3))
        elif change == "set":
            message[at] = draw(st.integers(0, 255))
        elif change == "flip":
            message[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "delete":
            del message[at : at + draw(st.integers(1, 3))]
        else:
            message[at:at] = message[at : at + draw(st.integers(1, 20))]
    return bytes(message)


@given(mutated() | st.binary(max_size=40))
def test_any_message_is_read_as_protobuf_reads_it_or_refused(message):
    found = ours(message)
    if found is not None:
        assert found == by_protobuf(message)
        assert 1 <= found.port <= 65535
        assert not found.name or is_name(found.name.removesuffix(b"."))


# ---- the bytes of a connection


@given(mutated() | HEADERS, st.binary(max_size=30))
def test_cuts_never_change_an_answer(message, rest):
    wire = framed(message)
    for count in range(len(wire)):
        assert read_header(wire[:count]) == ("more", None)
    answer = read_header(wire)
    assert answer[0] != "more"
    assert read_header(wire + rest) == answer


@given(st.integers(0, 27), st.binary(max_size=60))
def test_any_bytes_get_one_of_our_answers(kept, rest):
    content = framed(b"")[:kept] + rest
    whole = read_header(content)
    assert whole[0] in ("more", "ok", "broken")
    answers = [read_header(content[:count]) for count in range(len(content) + 1)]
    first = next((at for at, answer in enumerate(answers) if answer[0] != "more"), len(content))
    assert {repr(answer) for answer in answers[first:]} == {repr(whole)}


@given(PORTS, NAMES, PROTOCOLS)
def test_what_we_write_is_what_protobuf_writes_and_we_read(port, name, protocol):
    session = None if protocol == "opaque" else SessionProtocol()
    if session is not None:
        getattr(session, protocol).SetInParent()
    header = Header(port=port, name=name.decode(), session_protocol=session)
    wire = write_header(port, name, protocol)
    assert wire == framed(header.SerializeToString(deterministic=True))
    assert read_header(wire) == ("ok", (port, name, protocol, len(wire)))


@given(st.integers(-(2**31), 2**31 - 1), st.binary(max_size=300), PROTOCOLS, st.integers(0, 400))
def test_we_write_only_what_we_read(port, name, protocol, room):
    wire = write_header(port, name, protocol, room=room)
    assert len(wire) <= room
    if wire:
        assert read_header(wire) == ("ok", (port, name, protocol, len(wire)))
