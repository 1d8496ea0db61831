"""Any bytes at the name server of a mesh: no complaint in the log, and an answer to everything that is a
query.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.mesh.objects import PortSpec
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh
from tests.support.own_dns import own_dns
from tests.support.wait import patience

WEB = ServiceSpec(
    "shop", "web-svc", "web", (PortSpec("", 80, 80),), ips=("10.9.128.16", "fd00::10")
)
PEERS = ServiceSpec("shop", "peers", "web", (PortSpec("", 80, 80),), headless=True)
PODS = [
    Replica("shop", f"web-{n}", "web", f"10.9.0.{n}", {80: 80}, ready=True, status="Running")
    for n in range(99)
]
NAMES = ["web-svc.shop.svc.cluster.local", "peers.shop.svc.cluster.local", "cluster.local"]
NAMES += ["web-7.peers.shop.svc.cluster.local", "none.svc.cluster.local", "example.com", "."]
LAST = 0xBEEF


class Client:
    """Sends datagrams and collects what comes back before the answer to a query sent after them."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(10 * patience())
        self._socket.connect(address)
        self._last = dns.message.make_query("cluster.local", "SOA", id=LAST).to_wire()

    def close(self) -> None:
        self._socket.close()

    def replies(self, datagram: bytes) -> list[bytes]:
        self._socket.send(datagram)
        self._socket.send(self._last)
        found: list[bytes] = []
        while not (raw := self._socket.recv(65535)).startswith(LAST.to_bytes(2)):
            found.append(raw)
        return found


@contextmanager
def serving() -> Iterator[tuple[str, int]]:
    """A server with nobody to ask, so that every answer comes at once, on a loop in a thread of its own."""
    local_mesh = LocalMesh()
    local_mesh.apply(services=[WEB, PEERS], pods=PODS)
    addresses: list[tuple[str, int]] = []
    started, ended = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with own_dns(local_mesh) as server:
            addresses.append(server.address)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="own dns")
    thread.start()
    try:
        assert started.wait(10)
        yield addresses[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@st.composite
def queries(draw: st.DrawFn) -> bytes:
    """A query as clients send them, with or without extensions."""
    made = dns.message.make_query(
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(["A", "AAAA", "ANY", "SOA", "MX", "TYPE65280", "OPT"])),
        rdclass=draw(st.sampled_from(["IN", "CH", "ANY"])),
        id=draw(st.integers(0, 0xFFFF).filter(lambda number: number != LAST)),
    )
    if draw(st.booleans()):
        payload = draw(st.integers(0, 0xFFFF))
        made.use_edns(draw(st.integers(0, 2)), payload=payload, pad=draw(st.sampled_from([0, 99])))
    return made.to_wire()


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A query with some bytes replaced, cut off or put in."""
    raw = bytearray(draw(queries()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(raw)


def is_query(raw: bytes) -> bool:
    """Whether dnspython, asked in another way, reads exactly one plain question."""
    try:
        message = dns.message.from_wire(raw, keyring=False)
    except dns.exception.DNSException:
        return False
    plain = message.opcode() == dns.opcode.QUERY and not message.flags & dns.flags.QR
    return plain and len(message.question) == 1


@pytest.mark.timeout(600)
def test_any_datagram_is_answered_or_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with serving() as address:
        client = Client(address)

        @given(st.binary(max_size=64) | mutated() | queries())
        def put(datagram: bytes) -> None:
            if datagram.startswith(LAST.to_bytes(2)):
                return
            replies = client.replies(datagram)
            assert len(replies) <= 1
            if is_query(datagram):
                (reply,) = replies
                answer = dns.message.from_wire(reply)
                assert answer.question == dns.message.from_wire(datagram, keyring=False).question
            for reply in replies:
                assert reply[:2] == datagram[:2]
                assert reply[2] & 0x80

        try:
            put()
        finally:
            client.close()
    assert caplog.records == []
