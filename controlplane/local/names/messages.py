"""Queries in, answers out (RFC 1035, 2308, 6891). Queries are hostile bytes: `read_query` raises
`QueryError`, nothing else."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from linkerd2_py.controlplane.local.names.zone import DOMAIN, Absence, Zone
from linkerd2_py.controlplane.mesh.objects import Family

QUERY_MAX: Final = 4096
"""Bytes of the longest query: one question and some options."""
TTL_S: Final = 5
"""Also of absences: a service that is declared now is found soon."""
PAYLOAD: Final = 4096
"""Bytes of the longest datagram, to clients that say they take it; no network is between us to lose a
fragment."""
_PLAIN_PAYLOAD: Final = 512
_HEADER: Final = struct.Struct("!6H")
_OPCODE: Final = 0x7800
_FAMILIES: Final[dict[dns.rdatatype.RdataType, Family]] = {
    dns.rdatatype.A: 4,
    dns.rdatatype.AAAA: 6,
}
_APEX: Final = dns.name.from_text(DOMAIN)
_AUTHORITY: Final = dns.rrset.from_text(
    _APEX,
    TTL_S,
    dns.rdataclass.IN,
    dns.rdatatype.SOA,
    f"ns.dns.{DOMAIN}. hostmaster.{DOMAIN}. 1 7200 1800 86400 {TTL_S}",
)


class QueryError(Exception):
    """The bytes are no query that can be answered. `reply` is what to say to that; empty: nothing."""

    def __init__(self, reason: str, *, reply: bytes = b"") -> None:
        super().__init__(reason)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Query:
    """A well-formed query with exactly one question, and its bytes."""

    raw: bytes
    message: dns.message.Message

    @property
    def question(self) -> dns.rrset.RRset:
        return self.message.question[0]


def read_query(raw: bytes) -> Query:
    """The query in `raw`. QueryError when there is none."""
    if len(raw) < _HEADER.size:
        raise QueryError("no header")
    number, flags, questions, *_ = _HEADER.unpack_from(raw)
    if flags & dns.flags.QR:
        # Two servers that answer each other's answers never stop.
        raise QueryError("an answer, not a query")
    if flags & _OPCODE:
        reply = _header(number, flags=flags, rcode=dns.rcode.NOTIMP)
        raise QueryError("not a plain query", reply=reply)
    reply = _header(number, flags=flags, rcode=dns.rcode.FORMERR)
    if questions != 1 or len(raw) > QUERY_MAX:
        raise QueryError("not one question, or too long", reply=reply)
    try:
        # Signatures are for servers that share a key with the client.
        message = dns.message.from_wire(raw, keyring=False)
    except dns.exception.DNSException as error:
        raise QueryError(f"malformed: {error}", reply=reply) from error
    return Query(raw, message)


def own_answer(query: Query, *, zone: Zone) -> dns.message.Message | None:
    """What `zone` says to the query; None when the name is not one of its own."""
    name = query.question.name.to_text()
    if not zone.owns(name):
        return None
    if query.message.edns > 0:
        return failure(query, rcode=dns.rcode.BADVERS)
    if query.question.rdclass != dns.rdataclass.IN:
        return failure(query, rcode=dns.rcode.REFUSED)
    answer = _skeleton(query)
    answer.flags |= dns.flags.AA
    _fill(answer, query=query, zone=zone)
    if not answer.answer:
        answer.authority.append(_AUTHORITY)
    return answer


def failure(query: Query, *, rcode: dns.rcode.Rcode) -> dns.message.Message:
    """An answer that only says why there is none."""
    answer = _skeleton(query)
    answer.set_rcode(rcode)
    return answer


def encode(answer: dns.message.Message, *, query: Query, stream: bool) -> bytes:
    """The bytes for the client; over UDP no more than it takes, marked as truncated where that is
    too little.
    """
    limit = max(_PLAIN_PAYLOAD, min(query.message.payload, PAYLOAD))
    return answer.to_wire(max_size=0xFFFF if stream else limit, prefer_truncation=True)


def _fill(answer: dns.message.Message, *, query: Query, zone: Zone) -> None:
    name, kind = query.question.name, query.question.rdtype
    if kind == dns.rdatatype.SOA and name == _APEX:
        answer.answer.append(_AUTHORITY)
        return
    for own, family in _FAMILIES.items():
        found = zone.lookup(name.to_text(), family=family)
        if found is Absence.NO_NAME:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif found is not Absence.NO_DATA and kind in {own, dns.rdatatype.ANY}:
            # Written in a random order, so that the first address is not everybody's.
            answer.answer.append(
                dns.rrset.from_text_list(name, TTL_S, dns.rdataclass.IN, own, found)
            )


def _skeleton(query: Query) -> dns.message.Message:
    answer = dns.message.make_response(query.message, recursion_available=True)
    if query.message.edns >= 0:
        answer.use_edns(0, query.message.ednsflags & dns.flags.DO, payload=PAYLOAD)
    return answer


def _header(number: int, *, flags: int, rcode: dns.rcode.Rcode) -> bytes:
    """An answer without sections, to what could not be read any further."""
    kept = flags & (_OPCODE | dns.flags.RD)
    return _HEADER.pack(number, dns.flags.QR | kept | rcode, 0, 0, 0, 0)
