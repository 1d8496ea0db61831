"""Inbound policy through the engine: what a client sees that is let in, what one that is not, and what is
counted.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import h2.connection
import h2.events
import pytest

from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.rate import Limit, Rate
from linkerd2_py._ext.policy.rules import Rules
from linkerd2_py._ext.route.client import Permission
from linkerd2_py.proxy.addresses import parse_network
from linkerd2_py.proxy.config.types import InboundPolicy
from linkerd2_py.proxy.policy.inbound import InboundPolicies
from linkerd2_py.proxy.policy.ports import PortPolicies
from linkerd2_py.proxy.policy.verdict import DENIED, NEEDS_CLUSTER, NEEDS_IDENTITY
from tests.support.engine import Engine, engine
from tests.support.origin import origin
from tests.support.ways import mesh
from tests.support.workloads import identity_of, name_of, ssl_context

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
PORT = 80  # of the target that `Engine.inbound` installs
# Of this machine, and not localhost: a client that policy knows nothing about.
STRANGER, OTHER_STRANGER = "127.0.0.2", "127.0.0.3"


def authorize(made: Engine, default: str) -> InboundPolicies:
    nothing: frozenset[int] = frozenset()
    policy = InboundPolicy(default, (parse_network(STRANGER),), nothing, nothing)
    ports = PortPolicies(policy, opaque_ports=nothing, api=None, on_change=lambda _: None)
    return InboundPolicies(ports.of, registry=made.registry)


def counted(made: Engine, family: str) -> dict[str, int]:
    """The count of each series that has one, by what identifies its client and its policy."""
    found = re.findall(rf"^inbound_{family}_total{{(.*)}} (\d+)$", made.metrics(), re.MULTILINE)
    return {labels: int(count) for labels, count in found if count != "0"}


def labels(default: str, *, client: str = "", authorization: str = "", route: bool = True) -> str:
    identity = (
        f'tls="true",client_id="{client}"'
        if client
        else 'tls="no_identity",no_tls_reason="not_provided_by_service_discovery"'
    )
    parts = [
        f'target_port="{PORT}",{identity}',
        f'srv_group="",srv_kind="default",srv_name="{default}",srv_port="{PORT}"',
    ]
    if route:
        parts.append('route_group="",route_kind="default",route_name="default"')
    if authorization:
        parts.append(f'authz_group="",authz_kind="default",authz_name="{authorization}"')
    return ",".join(parts)


@asynccontextmanager
async def connection(
    address: tuple[str, int], *, source: str = STRANGER, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(
        *address,
        local_addr=(source, 0),
        ssl=tls,
        server_hostname=name_of("voting") if tls else None,
    )
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_requests_of_a_path_with_a_route_of_its_own_are_counted_apart() -> None:
    """The kubelet's probes, in a connection of its own or among others."""
    probe = (("route_kind", "default"), ("route_name", "probe"))
    asked = (b"/live", b"/", b"/live?verbose", b"/live", b"/lively")
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        let_in = Permission(
            rules=Rules([match.path(b"/live")]),
            routes=(0,),
            passage=lambda _: Passage(labels=probe),
            otherwise=Passage(labels=(("route_name", "default"),)),
        )
        address = made.inbound(server.address, authorize=lambda *_: let_in)
        async with connection(address) as (reader, writer):
            for path in asked:
                writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
                await reader.readuntil(b"ok")
        told = made.metrics()
    for family in ("request_total", "response_total"):
        lines = [line for line in told.splitlines() if line.startswith(f"{family}{{")]
        counts = {"probe" if 'route_name="probe"' in line else "": line[-1] for line in lines}
        assert counts == {"probe": "3", "": "2"}, family


@pytest.mark.parametrize("content_type", ["text/plain", "application/grpc"])
async def test_what_is_beyond_a_limit_is_told_to_come_again(content_type: str) -> None:
    """In the words of HTTP and of gRPC. What has no limit is let in all the while."""
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        permission = Permission(
            rules=Rules([match.path(b"/live")]),
            routes=(0,),
            passage=lambda _: Passage(limited=False),
            limits=(Limit(Rate(1), refusal="enough"),),
        )
        address = made.inbound(server.address, authorize=lambda *_: permission)
        first = await ask_h2(address, content_type=content_type)
        second = await ask_h2(address, content_type=content_type)
        live = [await ask_h2(address, path="/live") for _ in range(3)]
    assert first[":status"] == "200"
    assert first.get("grpc-message") != "enough"
    if content_type == "text/plain":
        assert (second[":status"], second["retry-after"]) == ("429", "1")
    else:
        assert (second[":status"], second["grpc-status"]) == ("200", "8")
        assert second["grpc-message"] == "enough"
    assert [one[":status"] for one in live] == ["200"] * 3
    asked = [head.split()[1] for head in server.heads if head.startswith(b"POST ")]
    assert asked.count(b"/live") == 3
    assert asked.count(b"/") <= 1


async def ask(
    address: tuple[str, int], *, source: str = STRANGER, tls: ssl.SSLContext | None = None
) -> bytes:
    async with connection(address, source=source, tls=tls) as (reader, writer):
        writer.write(GET)
        return await reader.read()


async def ask_h2(
    address: tuple[str, int],
    *,
    path: str = "/",
    content_type: str = "text/plain",
    tls: ssl.SSLContext | None = None,
) -> dict[str, str]:
    """The fields of the answer to one request over HTTP/2."""
    codec = h2.connection.H2Connection()
    codec.initiate_connection()
    head = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "a"}
    codec.send_headers(1, [*head.items(), ("content-type", content_type), ("te", "trailers")])
    codec.end_stream(1)
    async with connection(address, tls=tls) as (reader, writer):
        writer.write(codec.data_to_send())
        while piece := await reader.read(65536):
            for event in codec.receive_data(piece):
                if isinstance(event, h2.events.ResponseReceived):
                    return {bytes(n).decode(): bytes(v).decode() for n, v in event.headers}
    raise AssertionError("the connection ended without an answer")


async def assert_reset(address: tuple[str, int], said: bytes) -> None:
    # The kernel connects: asyncio would already tell of the reset, or not yet.
    with socket.create_connection(address, source_address=(STRANGER, 0)) as sock:
        if said:
            sock.sendall(said)
        sock.setblocking(False)
        with pytest.raises(ConnectionResetError):
            await asyncio.get_running_loop().sock_recv(sock, 1)


@pytest.mark.parametrize(
    ("default", "source", "status"),
    [
        ("all-unauthenticated", OTHER_STRANGER, b"200"),
        ("all-authenticated", STRANGER, b"403"),
        ("cluster-unauthenticated", STRANGER, b"200"),
        ("cluster-unauthenticated", OTHER_STRANGER, b"403"),
        ("cluster-authenticated", STRANGER, b"403"),
        ("deny", STRANGER, b"403"),
        ("deny", "127.0.0.1", b"200"),
    ],
)
async def test_requests_of_clients_without_identity(
    default: str, source: str, status: bytes
) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        decided = authorize(made, default)
        address = made.inbound(server.address, authorize=decided.permission)
        got = await ask(address, source=source)
        allowed, denied = counted(made, "http_authz_allow"), counted(made, "http_authz_deny")
    assert got.startswith(b"HTTP/1.1 " + status)
    if status == b"200":
        by = "localhost" if source == "127.0.0.1" else default
        assert (allowed, denied) == ({labels(default, authorization=by): 1}, {})
        return
    # A stranger learns nothing but the status.
    assert b"l5d-" not in got
    assert not server.heads
    assert (allowed, denied) == ({}, {labels(default): 1})


async def test_http2_and_grpc_are_refused_in_their_own_words() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = made.inbound(server.address, authorize=authorize(made, "deny").permission)
        plain = await ask_h2(address)
        grpc = await ask_h2(address, content_type="application/grpc")
        denied = counted(made, "http_authz_deny")
    assert plain[":status"] == "403"
    assert "l5d-proxy-error" not in plain
    assert (grpc[":status"], grpc["grpc-status"]) == ("200", "7")
    assert not server.heads
    assert denied == {labels("deny"): 2}


@pytest.mark.parametrize(
    ("default", "source", "refusal"),
    [
        ("all-authenticated", OTHER_STRANGER, None),
        ("cluster-authenticated", STRANGER, None),
        ("cluster-authenticated", OTHER_STRANGER, NEEDS_CLUSTER),
        ("deny", STRANGER, DENIED),
    ],
)
async def test_clients_with_identity_are_told_why(
    default: str, source: str, refusal: str | None, tmp_path: Path
) -> None:
    client = mesh().workload("web")
    tls = ssl_context(client, anchors=mesh().anchors, folder=tmp_path, server=False)
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = made.inbound(
            server.address,
            identity=identity_of(mesh(), "voting"),
            authorize=authorize(made, default).permission,
        )
        got = await ask(address, source=source, tls=tls)
        allowed, denied = counted(made, "http_authz_allow"), counted(made, "http_authz_deny")
    if refusal is None:
        assert got.startswith(b"HTTP/1.1 200")
        expected = labels(default, client=client.name, authorization=default)
        assert (allowed, denied) == ({expected: 1}, {})
        return
    assert got.startswith(b"HTTP/1.1 403")
    assert f"\r\nl5d-proxy-error: {refusal}\r\n".encode() in got
    assert (allowed, denied) == ({}, {labels(default, client=client.name): 1})


async def test_each_request_of_a_connection_is_counted() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        decided = authorize(made, "cluster-unauthenticated")
        address = made.inbound(server.address, authorize=decided.permission)
        async with connection(address) as (reader, writer):
            for _ in range(3):
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await reader.readuntil(b"\r\n\r\nok")
        (count,) = counted(made, "http_authz_allow").values()
    assert count == 3


@pytest.mark.parametrize("default", ["deny", "all-authenticated"])
async def test_opaque_connections_are_reset(default: str) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        decided = authorize(made, default)
        address = made.inbound(server.address, opaque=True, authorize=decided.permission)
        await assert_reset(address, b"")
        denied, requests = counted(made, "tcp_authz_deny"), counted(made, "http_authz_deny")
    assert server.connections == 0
    assert denied == {labels(default, route=False): 1}
    assert requests == {}


async def test_opaque_connections_that_are_let_in_are_counted() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        decided = authorize(made, "cluster-unauthenticated")
        address = made.inbound(server.address, opaque=True, authorize=decided.permission)
        async with connection(address) as (reader, writer):
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200")
        allowed = counted(made, "tcp_authz_allow")
        assert counted(made, "http_authz_allow") == {}
    name = "cluster-unauthenticated"
    assert allowed == {labels(name, authorization=name, route=False): 1}


async def test_bytes_that_are_no_http_are_refused_once_that_is_known() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = made.inbound(server.address, authorize=authorize(made, "deny").permission)
        await assert_reset(address, b"\x00\x01\x02\x03")
        assert counted(made, "tcp_authz_deny") == {labels("deny", route=False): 1}
    assert server.connections == 0


async def test_the_refusal_names_what_the_port_needs(tmp_path: Path) -> None:
    """TLS without a client certificate is a connection that nobody answers for."""
    tls = ssl_context(None, anchors=mesh().anchors, folder=tmp_path, server=False)
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = made.inbound(
            server.address,
            identity=identity_of(mesh(), "voting"),
            authorize=authorize(made, "all-authenticated").permission,
        )
        fields = await ask_h2(address, content_type="application/grpc", tls=tls)
    assert (fields["grpc-status"], fields["grpc-message"]) == ("7", NEEDS_IDENTITY)
    assert not server.heads


@pytest.mark.parametrize(("default", "status"), [("all-unauthenticated", b"200"), ("deny", b"403")])
async def test_a_request_that_names_its_port_itself_is_judged_by_that_port(
    default: str, status: bytes
) -> None:
    """A proxy without identity takes plain requests at its own port, each for the authority that it names."""
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        policies = authorize(made, default)
        direct = made.direct(server.address, authorize=policies.permission)
        async with connection(direct) as (reader, writer):
            for _ in range(2):
                writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 " + status)
                if status == b"200":
                    await reader.readexactly(2)
        kind = "allow" if status == b"200" else "deny"
        found = counted(made, f"http_authz_{kind}")
    assert len(server.heads) == (2 if status == b"200" else 0)
    ((series, count),) = found.items()
    assert 'target_port="8080"' in series
    assert count == 2


async def test_connections_are_counted_by_the_program_they_are_for_and_its_policy() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        policies = authorize(made, "all-authenticated")
        inbound = made.inbound(server.address, authorize=policies.permission)
        await ask(inbound)
        await assert_reset(inbound, b"\x00opaque")
        found = re.findall(r"^tcp_open_total{(.*\"src\".*)} (\d+)$", made.metrics(), re.MULTILINE)
    host, port = server.address
    target = f'target_addr="{host}:{port}",target_ip="{host}",target_port="{port}"'
    policy = f'srv_group="",srv_kind="default",srv_name="all-authenticated",srv_port="{PORT}"'
    tls = 'tls="no_identity",no_tls_reason="not_provided_by_service_discovery"'
    assert found == [(f'direction="inbound",peer="src",{target},{tls},{policy}', "2")]
