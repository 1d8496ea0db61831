"""Who may talk to whom, as whom, and what everybody else sees: proxies of the engine with identities."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.tls.identity import LocalIdentity, ServerIdentity
from linkerd2_py.base.tasks import spawn
from tests.support.engine import Engine, engine
from tests.support.grpc_echo import echo_client, echo_server
from tests.support.origin import origin, talk
from tests.support.wait import eventually_async, in_time
from tests.support.ways import HEADER, TLS, WORKLOAD_PORT, mesh, way_to
from tests.support.wire import tapped
from tests.support.workloads import MeshAuthority, identity_of, name_of, ssl_context

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: svc.test\r\n\r\n"
SECRET = b"not for the wire"
MS = 1_000_000


def answer(_head: bytes, _body: bytes) -> bytes:
    return OK


def calling(
    made: Engine, endpoint: tuple[str, int], peer: ServerIdentity, *, account: str = "web"
) -> tuple[str, int]:
    """A static port in front of one endpoint that is forwarded to: its failures are answered at once."""
    table = made.table("outbound", identity=identity_of(mesh(), account))
    target = table.install(b"svc.test:80")
    target.configure()
    target.forward(EndpointSpec(Address(*endpoint), h2=True, peer=peer))
    return made.server(table, target=target)[1]


@pytest.mark.parametrize("way", [TLS, HEADER])
async def test_the_workload_learns_who_calls_and_nobody_can_lie_about_it(way: str) -> None:
    async with engine() as made, origin(answer) as server:
        address = way_to(made, server.address, way=way)
        forged = b"GET / HTTP/1.1\r\nHost: a\r\nl5d-client-id: admin.ns\r\nConnection: l5d-client-id\r\n\r\n"
        assert (await talk(address, forged, until=b"ok")).startswith(b"HTTP/1.1 200")
    fields = [line for line in server.heads[0].lower().split(b"\r\n") if b"l5d-" in line]
    assert fields == [b"l5d-client-id: " + name_of("web").encode()]


async def test_without_tls_nobody_is_somebody() -> None:
    async with engine() as made, origin(answer) as server:
        address = made.inbound(server.address, identity=identity_of(mesh(), "voting"))
        await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\nl5d-client-id: me\r\n\r\n", until=b"ok")
    assert b"l5d-client-id" not in server.heads[0].lower()


@pytest.mark.parametrize("way", [TLS, HEADER])
async def test_no_byte_of_an_exchange_is_readable_on_the_wire(way: str) -> None:
    body = SECRET * 2000
    reply = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    async with engine() as made, origin(lambda _head, _body: reply) as server:
        callee = identity_of(mesh(), "voting")
        inbound = (
            made.direct(server.address, port=WORKLOAD_PORT, identity=callee)
            if way == HEADER
            else made.inbound(server.address, identity=callee)
        )
        async with tapped(inbound) as wire:
            tunnel = wire.address[1] if way == HEADER else 0
            there = (inbound[0], WORKLOAD_PORT) if way == HEADER else wire.address
            peer = ServerIdentity(name_of("voting"), tunnel_port=tunnel)
            address = calling(made, there, peer)
            ask = b"POST /secret-path HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
            got = await talk(address, ask + body, until=body)
    assert got.endswith(body)
    assert wire.connections >= 1
    assert len(wire.passed) > 2 * len(body)
    for readable in (SECRET, b"secret-path", b"content-length", b"PRI *", b"HTTP/1.1"):
        assert readable not in wire.passed
    # TLS 1.3 tells two names: whom the client asks for, and the protocol between proxies.
    assert name_of("voting").encode() in wire.passed
    assert name_of("web").encode() not in wire.passed


async def test_an_endpoint_that_is_somebody_else_is_never_talked_to() -> None:
    """Its address was given to another workload, whose proxy the server name does not fool: it asks for its
    own only.
    """
    async with engine() as made, origin(answer) as server:
        inbound = made.inbound(server.address, identity=identity_of(mesh(), "emoji"))
        by_name = calling(made, inbound, ServerIdentity(name_of("voting")))
        by_certificate = calling(
            made, inbound, ServerIdentity(name_of("voting"), server_name=name_of("emoji"))
        )
        # Its proxy hands TLS that asks for another name to the workload, which does not answer that.
        assert (await talk(by_name, GET)).startswith(b"HTTP/1.1 504 ")
        assert (await talk(by_certificate, GET)).startswith(b"HTTP/1.1 502 ")
        text = made.metrics()
    assert not server.heads
    assert (
        f'server_id="{name_of("voting")}",status_code="502",classification="failure",error="tls"'
        in text
    )


async def test_a_server_without_tls_gets_no_readable_byte() -> None:
    async with engine() as made, origin(answer) as server, tapped(server.address) as wire:
        address = calling(made, wire.address, ServerIdentity(name_of("voting")))
        got = await talk(address, GET + SECRET)
    # An HTTP server that waits for the end of a head: the handshake times out as a connect does.
    assert got.startswith(b"HTTP/1.1 504 ")
    assert not server.heads
    assert b"svc.test" not in wire.passed
    assert SECRET not in wire.passed
    assert b"PRI *" not in wire.passed


async def test_a_proxy_that_is_not_certified_yet_calls_nobody() -> None:
    async with engine() as made, origin(answer) as server, tapped(server.address) as wire:
        table = made.table("outbound", identity=LocalIdentity(name_of("web")))
        target = table.install(b"svc.test:80")
        target.configure()
        target.forward(EndpointSpec(Address(*wire.address), peer=ServerIdentity(name_of("voting"))))
        got = await talk(made.server(table, target=target)[1], GET)
    assert got.startswith(b"HTTP/1.1 502 ")
    assert wire.connections == 0


async def test_an_identity_cannot_be_asked_for_without_one_of_our_own() -> None:
    async with engine() as made:
        target = made.table().install(b"svc.test:80")
        with pytest.raises(ValueError, match="no identity to call it with"):
            target.forward(
                EndpointSpec(Address("127.0.0.1", 1), peer=ServerIdentity(name_of("voting")))
            )


async def test_failed_handshakes_are_told_with_their_reasons() -> None:
    told: list[tuple[bool, str, str]] = []
    stranger = MeshAuthority()
    callee, caller = identity_of(mesh(), "voting"), identity_of(stranger, "web")
    for identity in (callee, caller):
        identity.on_failure = lambda inbound, peer, reason: told.append(
            (inbound, str(peer), reason)
        )
    async with engine() as made, origin(answer) as server:
        inbound = made.inbound(server.address, identity=callee)
        table = made.table("outbound", identity=caller)
        target = table.install(b"svc.test:80")
        target.configure()
        target.forward(EndpointSpec(Address(*inbound), peer=ServerIdentity(name_of("voting"))))
        got = await talk(made.server(table, target=target)[1], GET)
        await eventually_async(lambda: len(told) == 2)
    assert got.startswith(b"HTTP/1.1 502 ")
    assert not server.heads
    assert all(peer.startswith("127.0.0.1:") for _inbound, peer, _reason in told)
    reasons = {inbound: reason for inbound, _peer, reason in told}
    # An anchor of the same name, which did not sign it.
    assert "certificate signature failure" in reasons[False]
    assert "alert" in reasons[True]


async def test_tls_that_asks_for_another_name_is_passed_to_the_workload(tmp_path: Path) -> None:
    """The workload speaks TLS itself: nothing of ours is between it and its client."""
    private = MeshAuthority()
    own = private.workload("shop")
    there = ssl_context(own, anchors=private.anchors, folder=tmp_path, server=True)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"own " + await reader.readexactly(4))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=there)
    async with engine() as made:
        inbound = made.inbound(
            server.sockets[0].getsockname(), identity=identity_of(mesh(), "voting")
        )
        here = ssl_context(None, anchors=private.anchors, folder=tmp_path, server=False)
        reader, writer = await asyncio.open_connection(
            *inbound, ssl=here, server_hostname=name_of("shop")
        )
        writer.write(b"ping")
        assert await reader.read(-1) == b"own ping"
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


async def over_tls(
    address: tuple[str, int], *, account: str | None, folder: Path, first: bytes
) -> bytes:
    """What a TLS client of the mesh gets that says `first`; b"" for a reset."""
    workload = None if account is None else mesh().workload(account)
    made = ssl_context(workload, anchors=mesh().anchors, folder=folder, server=False)
    made.set_alpn_protocols(["transport.l5d.io/v1"])
    reader, writer = await asyncio.open_connection(
        *address, ssl=made, server_hostname=name_of("voting")
    )
    got = b""
    with suppress(ConnectionError, ssl.SSLError):
        writer.write(first)
        got = await in_time(reader.read(-1), 10)
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return got


def header(port: int, *, kind: bytes = b"\x1a\x02\x0a\x00", name: bytes = b"") -> bytes:
    """As wire-compatible proxies write it; `kind` is HTTP/1."""
    body = b"\x08" + bytes([port & 0x7F | 0x80, port >> 7]) + name + kind
    return b"transport.l5d.io/v1\r\n\r\n" + len(body).to_bytes(4) + body


CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def test_our_own_port_takes_what_says_where_to(tmp_path: Path) -> None:
    async with engine() as made, origin(answer) as server:
        direct = made.direct(server.address, identity=identity_of(mesh(), "voting"))
        good = await over_tls(direct, account="web", folder=tmp_path, first=header(8080) + CLOSE)
        other = await over_tls(direct, account="web", folder=tmp_path, first=header(8081) + CLOSE)
    assert good.startswith(b"HTTP/1.1 200")
    assert other.startswith(b"HTTP/1.1 404")
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    ("account", "first"),
    [
        (None, header(8080) + CLOSE),
        ("web", CLOSE),
        ("web", header(8080, name=b"\x12\x05gw.ns") + CLOSE),
        ("web", header(8081, kind=b"") + SECRET),
        ("web", header(8080)[:-3] + b"\xff\xff\xff" + CLOSE),
    ],
    ids=["a stranger", "no header", "for a gateway", "opaque to nowhere", "broken header"],
)
async def test_our_own_port_refuses_the_rest(
    account: str | None, first: bytes, tmp_path: Path
) -> None:
    async with engine() as made, origin(answer) as server:
        direct = made.direct(server.address, identity=identity_of(mesh(), "voting"))
        assert await over_tls(direct, account=account, folder=tmp_path, first=first) == b""
    assert not server.heads


async def test_our_own_port_refuses_plain_text() -> None:
    async with engine() as made, origin(answer) as server:
        direct = made.direct(server.address, identity=identity_of(mesh(), "voting"))
        assert await talk(direct, b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n") == b""
    assert not server.heads


@pytest.mark.parametrize(
    "first", [b"\x16\x03\x01\x02\x00\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]
)
async def test_a_hello_that_stalls_is_ended_and_reaches_nobody(first: bytes) -> None:
    async with engine() as made, origin(answer) as server:
        inbound = made.inbound(
            server.address,
            identity=identity_of(mesh(), "voting"),
            detect_timeout_ns=50 * MS,
        )
        assert await talk(inbound, first) == b""
    assert server.connections == 0


@pytest.mark.parametrize(
    ("demanded", "status"),
    [(name_of("voting"), b"200"), (name_of("emoji"), b"502"), ("", b"502")],
)
async def test_an_application_may_say_who_must_answer(demanded: str, status: bytes) -> None:
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nl5d-require-id: %s\r\n\r\n" % demanded.encode()
    async with engine() as made, origin(answer) as server:
        inbound = made.inbound(server.address, identity=identity_of(mesh(), "voting"))
        address = calling(made, inbound, ServerIdentity(name_of("voting")))
        got = await talk(address, ask, until=b"ok" if status == b"200" else b"\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 " + status)
    assert all(b"l5d-require-id" not in head.lower() for head in server.heads)
    assert len(server.heads) == (status == b"200")


async def test_what_is_plain_does_not_have_a_required_identity() -> None:
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nl5d-require-id: %s\r\n\r\n" % name_of("voting").encode()
    async with engine() as made, origin(answer) as server:
        _target, address = made.outbound(server.address)
        got = await talk(address, ask)
    assert got.startswith(b"HTTP/1.1 502 ")
    assert b"required identity" in got
    assert not server.heads


async def test_series_say_how_a_request_was_secured() -> None:
    async with engine() as made, origin(answer) as server:
        inbound = made.inbound(server.address, identity=identity_of(mesh(), "voting"))
        address = calling(made, inbound, ServerIdentity(name_of("voting")))
        await talk(address, GET, until=b"ok")
        await talk(inbound, GET, until=b"ok")
        text = made.metrics()
    lines = [
        line for line in text.splitlines() if line.startswith(("request_total", "tcp_open_total"))
    ]
    counted = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    def total(*parts: str) -> float:
        return sum(value for line, value in counted.items() if all(part in line for part in parts))

    secured = f'tls="true",server_id="{name_of("voting")}"'
    assert total("request_total", 'direction="outbound"', secured) == 1
    assert (
        total("request_total", 'direction="inbound"', f'tls="true",client_id="{name_of("web")}"')
        == 1
    )
    assert total("request_total", 'direction="inbound"', 'tls="no_identity"') == 1
    assert total("request_total") == 3
    assert total("tcp_open_total", 'peer="dst"', secured) == 1
    arrived = f'direction="inbound",peer="src",{target_of(server.address)}'
    assert total("tcp_open_total", f'{arrived},tls="true"') == 1
    assert total("tcp_open_total", f'{arrived},tls="no_identity"') == 1


def target_of(address: tuple[str, int]) -> str:
    """The labels of connections that arrive for the program at this address."""
    host, port = address
    return f'target_addr="{host}:{port}",target_ip="{host}",target_port="{port}"'


async def test_only_peers_that_are_known_are_told_what_went_wrong() -> None:
    gone = ("127.0.0.1", 1)
    async with engine() as made:
        inbound = made.inbound(gone, identity=identity_of(mesh(), "voting"))
        plain = await talk(inbound, GET)
        address = calling(made, inbound, ServerIdentity(name_of("voting")))
        known = await talk(address, GET)
    assert plain.startswith(b"HTTP/1.1 502 ")
    assert b"l5d-proxy-error" not in plain
    # The peer's own "close" reaches the application's connection, which could find another replica.
    assert known.startswith(b"HTTP/1.1 502 ")
    assert b"connection: close" in known.lower()


async def test_credentials_change_under_load_without_a_failed_exchange() -> None:
    """Leaves are exchanged, then the anchor: old, old and new, new; what runs goes on, what begins uses the
    newest.
    """
    old, new = MeshAuthority(), MeshAuthority()
    both = old.anchors + new.anchors
    callee, caller = LocalIdentity(name_of("voting")), LocalIdentity(name_of("web"))

    def install(authority: MeshAuthority, anchors: bytes) -> None:
        for identity, account in ((callee, "voting"), (caller, "web")):
            identity.install(authority.workload(account).credentials(anchors=anchors))

    install(old, old.anchors)
    async with engine() as made, origin(answer, close_after=5) as server:
        inbound = made.inbound(server.address, identity=callee)
        table = made.table("outbound", identity=caller)
        target = table.install(b"svc.test:80")
        target.configure()
        peer = ServerIdentity(name_of("voting"))
        # HTTP/1, so that there are many connections.
        target.replace([EndpointSpec(Address(*inbound), peer=peer)])
        address = made.server(table, target=target)[1]
        for authority, anchors in (
            (old, old.anchors),
            (old, both),
            (new, both),
            (new, new.anchors),
        ):
            install(authority, anchors)
            got = await asyncio.gather(*(talk(address, CLOSE, until=b"ok") for _ in range(20)))
            assert all(one.startswith(b"HTTP/1.1 200") for one in got)
            # One side first: the other is exchanged a moment later.
            callee.install(authority.workload("voting").credentials(anchors=anchors))
            assert (await talk(address, CLOSE, until=b"ok")).startswith(b"HTTP/1.1 200")


async def test_grpc_errors_of_a_failed_handshake_are_statuses() -> None:
    async with engine() as made, echo_server() as server:
        inbound = made.inbound(server.address, identity=identity_of(mesh(), "emoji"))
        peer = ServerIdentity(name_of("voting"), server_name=name_of("emoji"))
        async with echo_client(calling(made, inbound, peer)) as client:
            with pytest.raises(Exception, match="UNAVAILABLE"):
                await client.unary(b"x")


async def test_a_drain_ends_tls_with_its_own_goodbye(tmp_path: Path) -> None:
    """An idle connection and one whose handshake is under way: neither sees a truncation."""
    async with engine() as made, origin(answer) as server:
        inbound = made.inbound(server.address, identity=identity_of(mesh(), "voting"))
        proxy = made.servers[-1]
        here = ssl_context(
            mesh().workload("web"), anchors=mesh().anchors, folder=tmp_path, server=False
        )
        # Without this flag Python takes a missing close_notify for a clean end.
        here.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        idle = await asyncio.open_connection(*inbound, ssl=here, server_hostname=name_of("voting"))
        idle[1].write(GET)
        await idle[0].readuntil(b"\r\n\r\nok")
        late = spawn(
            asyncio.open_connection(*inbound, ssl=here, server_hostname=name_of("voting")),
            name="late",
        )
        await eventually_async(lambda: proxy.open_connections == 2)
        proxy.drain()
        assert await idle[0].read(-1) == b""
        reader, writer = await late
        writer.write(GET)
        with suppress(ConnectionError):
            got = await reader.read(-1)
            assert got == b"" or got.startswith(b"HTTP/1.1 200 ")
        for one in (idle[1], writer):
            one.close()
            with suppress(ConnectionError, ssl.SSLError):
                await one.wait_closed()
        await eventually_async(lambda: proxy.open_connections == 0)


async def test_a_connection_that_was_made_to_look_is_used_and_not_thrown_away() -> None:
    """Told that HTTP/2 follows, a peer proxy speaks first: its settings are no reason to hang up."""
    async with engine() as made, origin(answer) as server:
        address = way_to(made, server.address, way=HEADER)
        for _ in range(3):
            await talk(address, GET, until=b"ok")
        text = made.metrics()
    client = f'tls="true",client_id="{name_of("web")}"'
    label = f'direction="inbound",peer="src",{target_of(server.address)},{client}'
    assert f"tcp_open_total{{{label}}} 1\n" in text
