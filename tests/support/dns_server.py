"""A tiny name server over real UDP and TCP on one loopback port, in a thread of its own.

`zone` maps (name, type) to what is answered; a name that is in no entry does not exist. Misbehaviour is
set per server: `silent`, `silent_about` (types that are never answered), `loses` (so many datagrams are lost
first), `rcode`, `truncate`, `chases` (aliases are followed), `before` (datagrams sent ahead of each real
answer).
"""

import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.ports import bound_pair
from tests.support.wait import patience

A, CNAME, SOA, AAAA = 1, 5, 6, 28
SERVFAIL = 2
NO_NAME = 3
_WAKE_S = 0.05


@dataclass(frozen=True)
class Rows:
    """Answers of one name and type: texts (IP literals or a name for CNAME) and their TTL."""

    texts: tuple[str, ...]
    ttl: int = 60


def encode_name(name: str) -> bytes:
    labels = [label for label in name.encode("ascii").split(b".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def encode_record(name: str, kind: int, ttl: int, content: bytes) -> bytes:
    return encode_name(name) + struct.pack("!HHIH", kind, 1, ttl, len(content)) + content


def read_question(raw: bytes) -> tuple[str, int, bytes]:
    """Name, type, and the question section of a query."""
    at, labels = 12, []
    while raw[at]:
        labels.append(raw[at + 1 : at + 1 + raw[at]].decode("ascii"))
        at += raw[at] + 1
    (kind,) = struct.unpack_from("!H", raw, at + 1)
    return ".".join(labels), kind, raw[12 : at + 5]


def encode_answer(
    query: bytes, records: list[bytes], *, rcode: int = 0, authority: list[bytes] | None = None,
    flags: int = 0x8180,
) -> bytes:  # fmt: skip
    _, _, question = read_question(query)
    authority = authority or []
    header = struct.pack(
        "!6H", *struct.unpack_from("!H", query), flags | rcode, 1, len(records), len(authority), 0
    )
    return header + question + b"".join(records) + b"".join(authority)


@dataclass
class DnsServer:
    """with DnsServer({("web.test", A): Rows(("10.0.0.1",))}) as server: … server.address"""

    zone: dict[tuple[str, int], Rows] = field(default_factory=dict)
    silent: bool = False
    silent_about: frozenset[int] = frozenset()
    loses: int = 0
    chases: bool = True
    rcode: int = 0
    truncate: bool = False
    negative_ttl: int | None = None
    before: Callable[[bytes], list[bytes]] | None = None
    questions: list[tuple[str, int, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._udp, self._tcp = bound_pair()
        self.address: tuple[str, int] = self._udp.getsockname()
        self._tcp.listen()
        for sock in (self._udp, self._tcp):
            sock.settimeout(_WAKE_S)
        self._ending = False
        self._threads = [
            threading.Thread(target=work, name="dns-server")
            for work in (self._serve_udp, self._serve_tcp)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = True
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def asked(self, name: str, *, kind: int = A) -> int:
        """How often `name` was asked for, over UDP and TCP."""
        return sum(1 for found, what, _ in self.questions if (found, what) == (name, kind))

    def _serve_udp(self) -> None:
        while not self._ending:
            try:
                query, peer = self._udp.recvfrom(4096)
            except TimeoutError:
                continue
            for datagram in (
                *(self.before(query) if self.before else ()),
                *self._answers(query, "udp"),
            ):
                self._udp.sendto(datagram, peer)

    def _serve_tcp(self) -> None:
        while not self._ending:
            try:
                connection, _ = self._tcp.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5 * patience())
                size = int.from_bytes(connection.recv(2, socket.MSG_WAITALL))
                for raw in self._answers(connection.recv(size, socket.MSG_WAITALL), "tcp"):
                    connection.sendall(len(raw).to_bytes(2) + raw)

    def _answers(self, query: bytes, transport: str) -> list[bytes]:
        name, kind, _ = read_question(query)
        name = name.lower()
        self.questions.append((name, kind, transport))
        if self.silent or kind in self.silent_about:
            return []
        if self.loses:
            self.loses -= 1
            return []
        if self.rcode:
            return [encode_answer(query, [], rcode=self.rcode)]
        if self.truncate and transport == "udp":
            return [encode_answer(query, [], flags=0x8380)]
        return [self._lookup(query, name, kind)]

    def _lookup(self, query: bytes, name: str, kind: int) -> bytes:
        records, known = [], False
        while True:
            known = known or any(found == name for found, _ in self.zone)
            if rows := self.zone.get((name, kind)):
                family = socket.AF_INET6 if kind == AAAA else socket.AF_INET
                records += [
                    encode_record(name, kind, rows.ttl, socket.inet_pton(family, text))
                    for text in rows.texts
                ]
                return encode_answer(query, records)
            alias = self.zone.get((name, CNAME))
            if alias is None or len(records) > 20:
                break
            records.append(encode_record(name, CNAME, alias.ttl, encode_name(alias.texts[0])))
            name = alias.texts[0]
            if not self.chases:
                return encode_answer(query, records)
        return encode_answer(
            query, records, rcode=0 if known else NO_NAME, authority=self._absence()
        )

    def _absence(self) -> list[bytes]:
        if self.negative_ttl is None:
            return []
        numbers = struct.pack("!5I", 1, 3600, 600, 86400, self.negative_ttl)
        return [
            encode_record(
                "test", SOA, 3600, encode_name("ns.test") + encode_name("x.test") + numbers
            )
        ]
