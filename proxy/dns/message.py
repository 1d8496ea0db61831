"""DNS messages as far as a stub resolver needs them: one question out, addresses and lifetimes back.

RFC 1035 section 4, RFC 3596 (AAAA), RFC 2308 (how long an absence lives). Answers are hostile bytes:
whatever does not parse or does not match the question raises `MessageError`, nothing else.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from linkerd2_py.proxy.addresses import is_host_name

TYPE_A: Final = 1
TYPE_CNAME: Final = 5
TYPE_SOA: Final = 6
TYPE_AAAA: Final = 28
CLASS_IN: Final = 1

RCODE_OK: Final = 0
RCODE_NO_NAME: Final = 3

_HEADER: Final = struct.Struct("!6H")
_RECORD: Final = struct.Struct("!HHIH")
_RECURSION_DESIRED: Final = 0x0100
_RESPONSE: Final = 0x8000
_OPCODE: Final = 0x7800
_TRUNCATED: Final = 0x0200
_RCODE: Final = 0x000F
_ADDRESS_BYTES: Final = {TYPE_A: 4, TYPE_AAAA: 16}

_LINKS_MAX: Final = 16
"""CNAMEs followed inside one answer; longer chains are loops or mistakes."""
_RECORDS_MAX: Final = 512
_TTL_MAX: Final = 2**31 - 1  # RFC 2181 section 8: a set top bit means zero


class MessageError(Exception):
    """The bytes are no answer to our question."""


class Reply(NamedTuple):
    """What a server said. `ttl_s` is the shortest on the way to the addresses; for an absence it is the
    negative TTL, None when the server gave none. `alias`: the server knows only that the name leads there.
    """

    rcode: int
    truncated: bool
    addresses: tuple[bytes, ...]
    ttl_s: int | None
    alias: str = ""


class _Record(NamedTuple):
    name: bytes
    kind: int
    ttl_s: int
    start: int
    length: int


def encode_question(name: str, *, kind: int, number: int) -> bytes:
    """A recursive query for `name`. ValueError when it is no host name."""
    if not is_host_name(name):
        raise ValueError(f"not a host name: {name!r}")
    labels = name.removesuffix(".").encode("ascii").split(b".")
    text = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return (
        _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0)
        + text
        + struct.pack("!HH", kind, CLASS_IN)
    )


def parse_answer(raw: bytes, *, name: str, kind: int, number: int) -> Reply:
    """The answer to the question (`name`, `kind`, `number`). MessageError when it is none."""
    try:
        return _parse(raw, name=name, kind=kind, number=number)
    except (struct.error, IndexError) as error:
        raise MessageError("the answer ends early") from error


def _parse(raw: bytes, *, name: str, kind: int, number: int) -> Reply:
    found, flags, questions, answers, authorities, _ = _HEADER.unpack_from(raw)
    if found != number or not flags & _RESPONSE or flags & _OPCODE or questions != 1:
        raise MessageError("not an answer to this question")
    asked, at = _read_name(raw, at=_HEADER.size)
    question = struct.unpack_from("!HH", raw, at)
    if asked != _plain(name) or question != (kind, CLASS_IN):
        raise MessageError("the answer repeats another question")
    rcode = flags & _RCODE
    if flags & _TRUNCATED:
        return Reply(rcode=rcode, truncated=True, addresses=(), ttl_s=None)
    if answers + authorities > _RECORDS_MAX:
        raise MessageError("too many records")
    records, at = _read_records(raw, at=at + 4, count=answers)
    found = _follow(raw, records=records, name=asked, kind=kind)
    if rcode == RCODE_OK and found.addresses:
        return Reply(rcode, truncated=False, addresses=found.addresses, ttl_s=found.ttl_s)
    records, _ = _read_records(raw, at=at, count=authorities)
    alias = (
        _unanswered(found.name, records=records)
        if rcode == RCODE_OK and found.name != asked
        else ""
    )
    ttl_s = found.ttl_s if alias else _negative_ttl(raw, records)
    return Reply(rcode, truncated=False, addresses=(), ttl_s=ttl_s, alias=alias)


class _Found(NamedTuple):
    """The name that CNAMEs lead to, the shortest TTL on the way, and the addresses there."""

    name: bytes
    ttl_s: int
    addresses: tuple[bytes, ...] = ()


def _follow(raw: bytes, *, records: list[_Record], name: bytes, kind: int) -> _Found:
    """Where `name` leads within the message."""
    ttl_s = _TTL_MAX
    for _ in range(_LINKS_MAX):
        own = [record for record in records if record.name == name]
        found = [record for record in own if record.kind == kind]
        if found:
            addresses = tuple(dict.fromkeys(_address(raw, record, kind=kind) for record in found))
            return _Found(name, min(ttl_s, *(record.ttl_s for record in found)), addresses)
        link = next((record for record in own if record.kind == TYPE_CNAME), None)
        if link is None:
            return _Found(name, ttl_s)
        ttl_s = min(ttl_s, link.ttl_s)
        name, _ = _read_name(raw, at=link.start)
    raise MessageError("too many aliases")


def _unanswered(name: bytes, *, records: list[_Record]) -> str:
    """`name`, unless the message says that it has no address: by an SOA from above it (RFC 2308
    section 2.2).
    """
    denied = any(record.kind == TYPE_SOA and _is_below(name, record.name) for record in records)
    text = name.decode("latin-1")
    return text if not denied and is_host_name(text) else ""


def _is_below(name: bytes, zone: bytes) -> bool:
    return not zone or name == zone or name.endswith(b"." + zone)


def _address(raw: bytes, record: _Record, *, kind: int) -> bytes:
    if record.length != _ADDRESS_BYTES[kind]:
        raise MessageError("an address of the wrong length")
    return raw[record.start : record.start + record.length]


def _negative_ttl(raw: bytes, records: list[_Record]) -> int | None:
    """RFC 2308 section 5: the lesser of the SOA's TTL and its minimum field."""
    for record in records:
        if record.kind == TYPE_SOA and record.length >= 4:
            (minimum,) = struct.unpack_from("!I", raw, record.start + record.length - 4)
            return min(record.ttl_s, _ttl(minimum))
    return None


def _read_records(raw: bytes, *, at: int, count: int) -> tuple[list[_Record], int]:
    records = []
    for _ in range(count):
        name, at = _read_name(raw, at=at)
        kind, network, ttl_s, length = _RECORD.unpack_from(raw, at)
        at += _RECORD.size
        if at + length > len(raw):
            raise MessageError("a record ends after the message")
        if network == CLASS_IN:
            records.append(_Record(name, kind, _ttl(ttl_s), at, length))
        at += length
    return records, at


def _read_name(raw: bytes, *, at: int) -> tuple[bytes, int]:
    """The lower-case dotted name at `at` and where it ends. Pointers may only point backwards, so that
    every name ends.
    """
    labels: list[bytes] = []
    end, floor, size = None, at, 0
    while True:
        length = raw[at]
        if length == 0:
            return b".".join(labels), at + 1 if end is None else end
        if length & 0xC0 == 0xC0:
            target = (length & 0x3F) << 8 | raw[at + 1]
            if target >= floor:
                raise MessageError("a name points forwards")
            end = at + 2 if end is None else end
            at = floor = target
            continue
        if length & 0xC0:
            raise MessageError("an unknown kind of label")
        label = raw[at + 1 : at + 1 + length]
        size += length + 1
        if len(label) != length or size > 254:
            raise MessageError("a name is too long or ends early")
        labels.append(label.lower())
        at += length + 1


def _plain(name: str) -> bytes:
    return name.lower().removesuffix(".").encode("ascii")


def _ttl(value: int) -> int:
    return value if value <= _TTL_MAX else 0
