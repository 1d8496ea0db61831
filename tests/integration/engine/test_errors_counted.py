"""Each way in which the proxy cannot serve a request or a connection, made to happen over real sockets, and counted
by its reason.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.client import Permission
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py._ext.tls.identity import LocalIdentity, ServerIdentity
from tests.integration.engine.test_mutual_tls import CLOSE, SECRET, header, over_tls
from tests.support.engine import MS, Engine, engine
from tests.support.http2_script import HEADERS, REFUSED_STREAM, Link, reset, scripted
from tests.support.http2_script import settings as http2_settings
from tests.support.origin import origin, talk
from tests.support.series import by, series
from tests.support.wait import eventually_async
from tests.support.ways import mesh
from tests.support.workloads import identity_of, name_of

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: svc.test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: svc.test\r\nContent-Length: 0\r\n\r\n"
OWNER = (("srv_group", ""), ("srv_kind", "default"), ("srv_name", "all"), ("srv_port", "80"))


def closed() -> tuple[str, int]:
    """Where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        found: tuple[str, int] = one.getsockname()
    return found


def errors(made: Engine, family: str) -> dict[str, float]:
    return by(made.metrics(), f"{family}_errors_total", "error")


def to_one(made: Engine, endpoint: tuple[str, int], **spec: object) -> tuple[str, int]:
    """A static port in front of one endpoint, whose failures are answered at once."""
    peer = spec.get("peer")
    identity = identity_of(mesh(), "web") if peer is not None else None
    table = made.table("outbound", identity=identity)
    target = table.install(b"svc.test:80")
    target.configure()
    target.forward(EndpointSpec(Address(*endpoint), **spec))  # type: ignore[arg-type]
    return made.server(table, target=target)[1]


async def is_reset(address: tuple[str, int], said: bytes = SECRET) -> None:
    # The kernel connects: asyncio would already tell of the reset, or not yet.
    with socket.create_connection(address) as sock:
        with suppress(ConnectionError):
            sock.sendall(said)
        sock.setblocking(False)
        with pytest.raises(ConnectionResetError):
            await asyncio.get_running_loop().sock_recv(sock, 1)


# ---- requests


async def nobody_in_time(made: Engine) -> None:
    _target, address = made.outbound()
    assert (await talk(address, GET)).startswith(b"HTTP/1.1 504 ")
    assert (await talk(address, GET)).startswith(b"HTTP/1.1 503 ")


async def nobody_listens(made: Engine) -> None:
    assert (await talk(to_one(made, closed()), GET)).startswith(b"HTTP/1.1 502 ")


async def hangs_up(made: Engine) -> None:
    async with origin(lambda _head, _body: b"") as server:
        assert (await talk(to_one(made, server.address), POST)).startswith(b"HTTP/1.1 502 ")


async def never_shakes_hands(made: Engine) -> None:
    async with origin(lambda _head, _body: OK) as server:
        address = to_one(made, server.address, peer=ServerIdentity(name_of("voting")))
        assert (await talk(address, GET)).startswith(b"HTTP/1.1 504 ")


async def is_somebody_else(made: Engine) -> None:
    async with origin(lambda _head, _body: OK) as server:
        inbound = made.inbound(server.address, identity=identity_of(mesh(), "emoji"))
        peer = ServerIdentity(name_of("voting"), server_name=name_of("emoji"))
        assert (await talk(to_one(made, inbound, peer=peer), GET)).startswith(b"HTTP/1.1 502 ")


async def is_asked_for_another(made: Engine) -> None:
    demand = GET.replace(b"\r\n\r\n", b"\r\nl5d-require-id: somebody.ns\r\n\r\n")
    async with origin(lambda _head, _body: OK) as server:
        assert (await talk(to_one(made, server.address), demand)).startswith(b"HTTP/1.1 502 ")


async def speaks_no_http(made: Engine) -> None:
    async with origin(lambda _head, _body: b"what?\r\n\r\n") as server:
        assert (await talk(to_one(made, server.address), POST)).startswith(b"HTTP/1.1 502 ")


async def refuses_every_stream(made: Engine) -> None:
    async def refuse(link: Link, _number: int) -> None:
        link.send(http2_settings())
        async for got in link.frames():
            if got.kind == HEADERS:
                link.send(reset(got.stream, REFUSED_STREAM))

    async with scripted(refuse) as server:
        assert (await talk(to_one(made, server.address, h2=True), GET)).startswith(b"HTTP/1.1 503 ")


async def leads_back(made: Engine) -> None:
    target, address = made.outbound()
    target.reject_loop()
    assert (await talk(address, GET)).startswith(b"HTTP/1.1 502 ")


async def is_nobodys(made: Engine) -> None:
    target, address = made.outbound()
    target.reject(404, "nobody serves it")
    assert (await talk(address, GET, until=b"\r\n\r\n")).startswith(b"HTTP/1.1 404 ")


async def names_nothing(made: Engine) -> None:
    address = made.server(made.table("outbound"))[1]
    said = await talk(address, b"GET / HTTP/1.0\r\n\r\n", until=b"\r\n\r\n")
    assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))


REQUESTS: dict[str, tuple[Callable[[Engine], Awaitable[None]], dict[str, float]]] = {
    "no endpoint in time": (nobody_in_time, {"failfast": 1, "loadshed": 1}),
    "refused connect": (nobody_listens, {"i/o": 1}),
    "no response": (hangs_up, {"i/o": 1}),
    "no handshake": (never_shakes_hands, {"connect timeout": 1}),
    "another identity": (is_somebody_else, {"tls": 1}),
    "required identity": (is_asked_for_another, {"identity required": 1}),
    "no HTTP": (speaks_no_http, {"protocol": 1}),
    "refused streams": (refuses_every_stream, {"reset": 1}),
    "loop": (leads_back, {"loop": 1}),
    "no route": (is_nobodys, {"no route": 1}),
    "no target": (names_nothing, {"unexpected": 1}),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_that_the_proxy_cannot_serve(name: str) -> None:
    plant, expected = REQUESTS[name]
    # So that the connect is over before those who wait for it give up.
    settings = {"failfast_ns": 5_000 * MS} if name == "no handshake" else {}
    async with engine(**settings) as made:
        await plant(made)
        assert errors(made, "outbound_http") == expected
        # Linkerd's has no other label.
        assert all(
            len(labels) == 1 for labels in series(made.metrics(), "outbound_http_errors_total")
        )
        assert errors(made, "outbound_tcp") == {}


async def test_what_is_served_and_what_an_endpoint_says_is_no_error() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        _target, address = made.outbound(server.address)
        await talk(address, GET, until=b"ok")
    async with engine() as made, origin(lambda _head, _body: OK.replace(b"200", b"500")) as server:
        await talk(made.outbound(server.address)[1], GET, until=b"ok")
        assert errors(made, "outbound_http") == {}


async def test_a_client_that_goes_away_is_no_error() -> None:
    async with engine(failfast_ns=60_000 * MS) as made:
        target, address = made.outbound()
        _reader, writer = await asyncio.open_connection(*address)
        writer.write(GET)
        await eventually_async(lambda: target.in_use == 1)
        writer.transport.abort()
        await eventually_async(lambda: target.in_use == 0)
        assert errors(made, "outbound_http") == {}


async def test_an_inbound_error_says_whose_it_is() -> None:
    workload = closed()
    async with engine() as made:
        table = made.table("inbound")
        target = table.install(b"workload:80")
        target.configure(owner=OWNER)
        target.forward(EndpointSpec(Address(*workload)))
        address = made.server(table, target=target)[1]
        assert (await talk(address, GET)).startswith(b"HTTP/1.1 502 ")
        text = made.metrics()
    host, port = workload
    where = {("target_addr", f"{host}:{port}"), ("target_ip", host), ("target_port", str(port))}
    labels = frozenset({("error", "i/o"), *where, *OWNER})
    assert series(text, "inbound_http_errors_total") == {labels: 1}


async def test_what_policy_refuses_it_counts_itself() -> None:
    no = Permission(otherwise=Passage(refusal="no"))
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        plain = made.inbound(server.address, authorize=lambda *_: no)
        assert (await talk(plain, GET, until=b"\r\n\r\n")).startswith(b"HTTP/1.1 403 ")
        opaque = made.inbound(server.address, opaque=True, authorize=lambda *_: no)
        await is_reset(opaque)
        assert errors(made, "inbound_http") == errors(made, "inbound_tcp") == {}


# ---- connections


async def test_an_opaque_connection_without_an_endpoint() -> None:
    async with engine() as made:
        _target, address = made.outbound(opaque=True)
        await is_reset(address)
        await is_reset(address)
        assert errors(made, "outbound_tcp") == {"failfast": 1, "loadshed": 1}
        labels = {("target_addr", "svc.test:80"), ("target_port", "80"), ("error", "failfast")}
        assert frozenset(labels) in series(made.metrics(), "outbound_tcp_errors_total")


@pytest.mark.parametrize("key", [b"10.1.2.3:5432", b"[fd00::1]:5432"])
async def test_an_opaque_connection_that_nobody_takes(key: bytes) -> None:
    async with engine() as made:
        table = made.table("outbound")
        target = table.install(key)
        target.configure(opaque=True)
        target.forward(EndpointSpec(Address(*closed())))
        await is_reset(made.server(table, target=target)[1])
        text = made.metrics()
    host = key.decode().rpartition(":")[0].strip("[]")
    where = {("target_addr", key.decode()), ("target_ip", host), ("target_port", "5432")}
    assert series(text, "outbound_tcp_errors_total") == {frozenset({("error", "i/o"), *where}): 1}


async def test_bytes_that_name_no_target_where_none_is_known() -> None:
    async with engine() as made:
        address = made.server(made.table("outbound"))[1]
        assert await talk(address, b"\0\0\0\0 what is this\r\n") == b""
        assert errors(made, "outbound_tcp") == {"no route": 1}


HELLO = b"\x16\x03\x01\x02\x00\x01"


async def test_a_hello_that_stalls() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        mine = identity_of(mesh(), "voting")
        address = made.inbound(server.address, identity=mine, detect_timeout_ns=50 * MS)
        assert await talk(address, HELLO) == b""
        assert errors(made, "inbound_tcp") == {"tls detection timeout": 1}


async def test_a_proxy_that_cannot_prove_itself_yet(tmp_path: Path) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = made.inbound(server.address, identity=LocalIdentity(name_of("voting")))
        with pytest.raises((ConnectionError, OSError)):
            await over_tls(address, account="web", folder=tmp_path, first=CLOSE)
        assert errors(made, "inbound_tcp") == {"tls": 1}


OWN_PORT: dict[str, tuple[str | None, bytes, str]] = {
    "a stranger": (None, header(8080) + CLOSE, "unexpected"),
    "no header": ("web", CLOSE, "protocol"),
    "for a gateway": ("web", header(8080, name=b"\x12\x05gw.ns") + CLOSE, "gateway domain invalid"),
    "broken header": ("web", header(8080)[:-3] + b"\xff\xff\xff" + CLOSE, "protocol"),
    "opaque to nowhere": ("web", header(8081, kind=b"") + SECRET, "no route"),
}


@pytest.mark.parametrize("name", OWN_PORT)
async def test_what_our_own_port_refuses(name: str, tmp_path: Path) -> None:
    account, first, error = OWN_PORT[name]
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        direct = made.direct(server.address, identity=identity_of(mesh(), "voting"))
        assert await over_tls(direct, account=account, folder=tmp_path, first=first) == b""
        assert errors(made, "inbound_tcp") == {error: 1}
        (labels,) = series(made.metrics(), "inbound_tcp_errors_total")
    port = "8081" if name == "opaque to nowhere" else str(direct[1])
    assert dict(labels)["target_port"] == port


async def test_our_own_port_in_plain_text_and_in_silence() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        direct = made.direct(
            server.address, identity=identity_of(mesh(), "voting"), detect_timeout_ns=100 * MS
        )
        assert await talk(direct, GET) == b""
        assert errors(made, "inbound_tcp") == {"unexpected": 1}
        assert await talk(direct, b"") == b""
        assert errors(made, "inbound_tcp") == {"unexpected": 1, "tls detection timeout": 1}


async def test_series_are_bounded_whatever_targets_clients_name() -> None:
    async with engine() as made:
        table = made.table("outbound", on_unknown=lambda target: target.reject(502, "no"))
        for port in range(1, 2_050):
            target = table.lookup(b"10.0.0.1:%d" % port)
            target.configure(opaque=True)
            address = made.server(table, target=target)[1] if port in {1, 2_049} else None
            if address is not None:
                await is_reset(address)
        assert len(series(made.metrics(), "outbound_tcp_errors_total")) == 2
