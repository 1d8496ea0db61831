"""The name server of a mesh over real sockets: its own names, limits, and what pods' own resolvers make of
it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest

from linkerd2_py.controlplane.local.names.messages import QUERY_MAX
from linkerd2_py.controlplane.local.names.server import (
    CONNECTIONS_MAX,
    IDLE_S,
    PER_CLIENT_MAX,
    DnsServer,
    name_servers,
    resolv_conf,
)
from linkerd2_py.controlplane.local.names.zone import Zone
from linkerd2_py.controlplane.mesh.objects import PortSpec
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.dns.resolver import NameAbsentError, Resolver
from linkerd2_py.proxy.dns.settings import Hosts, parse_resolv_conf
from tests.support.local_mesh import LocalMesh
from tests.support.own_dns import OwnDns, framed, own_dns, read_message
from tests.support.wait import within

WEB = ServiceSpec(
    "shop", "web-svc", "web", (PortSpec("", 80, 80),), ips=("10.9.128.16", "fd00::1:10")
)
PEERS = replace(WEB, name="peers", ips=(), headless=True)
POD = Replica("shop", "web-0", "web", "10.9.0.16", {80: 80}, ready=True, status="Running")
WEB_NAME = "web-svc.shop.svc.cluster.local."
PEERS_NAME = "peers.shop.svc.cluster.local."
NO_NAME = "none.shop.svc.cluster.local."


def local_mesh(*, pods: int = 1) -> LocalMesh:
    found = LocalMesh()
    found.apply(
        services=[WEB, PEERS],
        pods=[
            replace(POD, name=f"web-{n}", ip=f"10.9.{n // 200}.{16 + n % 200}") for n in range(pods)
        ],
    )
    return found


@pytest.fixture
async def server() -> AsyncIterator[OwnDns]:
    async with own_dns(local_mesh()) as found:
        yield found


def texts(answer: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in answer.answer for record in rrset]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("kind", "ip"), [("A", "10.9.128.16"), ("AAAA", "fd00::1:10")])
async def test_own_names_have_addresses(server: OwnDns, kind: str, ip: str, stream: bool) -> None:
    answer = await server.ask("Web-SVC.shop.svc.Cluster.local.", kind, stream=stream)
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert answer.flags & dns.flags.RA
    (rrset,) = answer.answer
    assert rrset.name.to_text() == "Web-SVC.shop.svc.Cluster.local."
    assert (rrset.ttl, texts(answer)) == (5, [ip])
    assert answer.authority == []
    assert answer.edns == -1


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        (NO_NAME, "A", dns.rcode.NXDOMAIN),
        (NO_NAME, "AAAA", dns.rcode.NXDOMAIN),
        (NO_NAME, "TXT", dns.rcode.NXDOMAIN),
        (PEERS_NAME, "AAAA", dns.rcode.NOERROR),
        (WEB_NAME, "MX", dns.rcode.NOERROR),
        ("shop.svc.cluster.local.", "A", dns.rcode.NOERROR),
        ("cluster.local.", "A", dns.rcode.NOERROR),
    ],
)
async def test_absences_are_kept_for_as_short_as_addresses(
    server: OwnDns, name: str, kind: str, rcode: dns.rcode.Rcode
) -> None:
    answer = await server.ask(name, kind)
    assert (answer.rcode(), answer.answer) == (rcode, [])
    assert answer.flags & dns.flags.AA
    (authority,) = answer.authority
    assert authority.name.to_text() == "cluster.local."
    assert (authority.rdtype, authority.ttl, authority[0].minimum) == (dns.rdatatype.SOA, 5, 5)


async def test_the_domain_shows_its_authority_and_any_means_both_families(server: OwnDns) -> None:
    assert (await server.ask("cluster.local.", "SOA")).answer[0].rdtype == dns.rdatatype.SOA
    assert texts(await server.ask(WEB_NAME, "ANY")) == ["10.9.128.16", "fd00::1:10"]


async def test_extensions_are_answered_in_kind(server: OwnDns) -> None:
    query = dns.message.make_query(WEB_NAME, "A", use_edns=0, want_dnssec=True, payload=1232)
    answer = await server.put(query)
    assert (answer.edns, answer.payload) == (0, 4096)
    assert answer.ednsflags & dns.flags.DO
    padded = dns.message.make_query(WEB_NAME, "A", use_edns=0, pad=128)
    assert texts(await server.put(padded)) == ["10.9.128.16"]
    newer = await server.put(dns.message.make_query(WEB_NAME, "A", use_edns=1))
    assert (newer.rcode(), newer.edns, newer.answer) == (dns.rcode.BADVERS, 0, [])


async def test_another_class_or_operation_is_refused(server: OwnDns) -> None:
    chaos = dns.message.make_query(WEB_NAME, "A", rdclass=dns.rdataclass.CH)
    assert (await server.put(chaos)).rcode() == dns.rcode.REFUSED
    notify = dns.message.make_query(WEB_NAME, "A")
    notify.set_opcode(dns.opcode.NOTIFY)
    reader, writer = await server.connect()
    writer.write(framed(notify.to_wire()))
    answer = await read_message(reader)
    writer.close()
    assert (answer.id, answer.rcode()) == (notify.id, dns.rcode.NOTIMP)


@pytest.mark.parametrize(
    ("edns", "pods", "cut"),
    [
        (None, 20, False),
        (None, 60, True),
        (1232, 60, False),
        (1232, 100, True),
        (65535, 240, False),
    ],
)
async def test_datagrams_are_as_long_as_the_client_takes(
    edns: int | None, pods: int, cut: bool
) -> None:
    async with own_dns(local_mesh(pods=pods)) as server:
        answer = await server.ask(PEERS_NAME, edns=edns)
        assert bool(answer.flags & dns.flags.TC) is cut
        assert len(texts(answer)) == (0 if cut else pods)
        whole = await server.ask(PEERS_NAME, edns=edns, stream=True)
        assert not whole.flags & dns.flags.TC
        assert len(set(texts(whole))) == pods


async def test_the_first_address_is_not_everybodys() -> None:
    async with own_dns(local_mesh(pods=10)) as server:
        # All alike in one of 10^49 runs.
        firsts = {texts(await server.ask(PEERS_NAME))[0] for _ in range(50)}
        assert len(firsts) > 1


async def test_a_connection_takes_query_after_query(server: OwnDns) -> None:
    reader, writer = await server.connect()
    names = [WEB_NAME, NO_NAME, PEERS_NAME]
    queries = [dns.message.make_query(name, "A") for name in names]
    writer.write(b"".join(framed(query.to_wire()) for query in queries))
    for query in queries:
        answer = await read_message(reader)
        assert query.is_response(answer)
    # Byte by byte is the same to a server that reads a stream.
    for byte in framed(queries[0].to_wire()):
        writer.write(bytes([byte]))
        await writer.drain()
    assert queries[0].is_response(await read_message(reader))
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0",
        b"\0\0",
        framed(b"\x12\x34\x80\0" + bytes(8)),
        (QUERY_MAX + 1).to_bytes(2) + bytes(100),
        b"\xff\xff",
    ],
)
async def test_a_connection_with_no_query_on_it_is_ended(sent: bytes) -> None:
    async with own_dns(local_mesh(), idle_s=0.2) as server:
        reader, writer = await server.connect()
        writer.write(sent)
        async with within(5):
            # A reset, where it was ended before everything was read.
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_a_malformed_query_on_a_connection_is_answered_and_ends_it(server: OwnDns) -> None:
    reader, writer = await server.connect()
    writer.write(framed(b"\x12\x34\x01\0\0\x01" + bytes(6)))
    answer = await read_message(reader)
    assert (answer.id, answer.rcode()) == (0x1234, dns.rcode.FORMERR)
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    ("clients", "limit"), [(1, PER_CLIENT_MAX), (CONNECTIONS_MAX, CONNECTIONS_MAX)]
)
async def test_connections_beyond_a_limit_end_the_oldest(
    server: OwnDns, clients: int, limit: int
) -> None:
    """That of one client, whose own they are, and that of all."""
    query = framed(dns.message.make_query(WEB_NAME, "A").to_wire())
    kept = [await server.connect(client=f"127.0.1.{1 + n % clients}") for n in range(limit)]
    other = await server.connect(client="127.0.2.1") if clients == 1 else None
    for reader, writer in [*kept, *([other] if other else [])]:
        writer.write(query)
        await read_message(reader)
    late = await server.connect(client="127.0.1.1")
    late[1].write(query)
    # At once, and not only when something has been idle for long.
    async with asyncio.timeout(IDLE_S / 2):
        await read_message(late[0])
        with contextlib.suppress(ConnectionResetError):
            assert await kept[0][0].read() == b""
    for reader, writer in [*kept[1:], *([other] if other else [])]:
        writer.write(query)
        await read_message(reader)
    for _, held in [*kept, late, *([other] if other else [])]:
        held.transport.abort()
        with contextlib.suppress(OSError):
            await held.wait_closed()


async def test_resolvers_of_pods_find_short_names(server: OwnDns, tmp_path: Path) -> None:
    text = resolv_conf(server.host, namespace="shop")
    settings = parse_resolv_conf(text)
    assert text == (
        "nameserver 127.0.0.1\n"
        "search shop.svc.cluster.local svc.cluster.local cluster.local\n"
        "options ndots:5\n"
    )
    here = settings._replace(servers=(SocketAddr(server.host, server.port),))
    resolver = Resolver(here, hosts=Hosts(str(tmp_path / "none")), count=lambda *_: None)
    for name in ("web-svc", "web-svc.shop", "web-svc.shop.svc", WEB_NAME):
        found = await resolver.resolve(name)
        assert (found.addresses[0], found.ttl_s) == ("10.9.128.16", 5.0)
    assert (await resolver.resolve("web-0.peers")).addresses == ("10.9.0.16",)
    with pytest.raises(NameAbsentError) as absent:
        await resolver.resolve(NO_NAME)
    assert absent.value.ttl_s == 5.0


async def test_stop_may_come_first_and_twice() -> None:
    server = DnsServer(Zone(lambda: LocalMesh().mesh), forward_to=())
    await server.stop()
    await server.stop()


@pytest.mark.parametrize("text", ["", "ns.example.com", "10.0.0.1:99999", "10.0.0.1:"])
def test_a_name_server_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not "):
        DnsServer(Zone(lambda: LocalMesh().mesh), forward_to=[text])


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nameserver 192.0.2.1\nnameserver 2001:db8::1 # second\n", ["192.0.2.1", "2001:db8::1"]),
        ("search example.com\n#nameserver 192.0.2.1\n", ["127.0.0.1"]),
        ("nameserver\nnameserver dns.example.com\n\tnameserver\t192.0.2.9\n", ["192.0.2.9"]),
        ("nameserver fe80::1%eth0\n", ["fe80::1%eth0"]),
    ],
)
def test_the_machines_name_servers(tmp_path: Path, text: str, servers: list[str]) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    assert name_servers(path) == servers


def test_without_a_file_this_machine_is_asked(tmp_path: Path) -> None:
    assert name_servers(tmp_path / "none") == ["127.0.0.1"]
