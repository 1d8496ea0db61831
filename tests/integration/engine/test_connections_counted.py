"""What connections turn out to speak, what discovery said that they speak, and who says where they go: counted over
real sockets.
"""

import asyncio
import socket
import struct
from pathlib import Path

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from tests.integration.engine.test_first_bytes import echo
from tests.integration.engine.test_mutual_tls import CLOSE, SECRET, header, over_tls
from tests.support.engine import MS, Engine, engine
from tests.support.grpc_echo import echo_client, echo_server
from tests.support.origin import origin, talk
from tests.support.series import by, series
from tests.support.wait import eventually_async
from tests.support.ways import TLS, mesh, way_to
from tests.support.workloads import identity_of, name_of

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: svc.test\r\n\r\n"
PARENT = (("parent_kind", "Service"), ("parent_name", "web"))
DETECTED = "tcp_detect_http_results_total"
TOOK = "tcp_detect_http_duration_seconds"


def found(made: Engine, direction: str = "outbound") -> dict[str, float]:
    return by(made.metrics(), f"{direction}_{DETECTED}", "result")


def forwarded(made: Engine, server: tuple[str, int], **options: object) -> tuple[str, int]:
    """A static port in front of one endpoint that is connected when somebody needs it."""
    table = made.table("outbound")
    target = table.install(b"svc.test:80")
    target.configure()
    target.forward(EndpointSpec(Address(*server)))
    return made.server(table, target=target, **options)[1]


async def test_http_of_either_version_and_what_is_none() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server, echo() as bytes_only:
        target, address = made.outbound(server.address)
        target.configure(owner=PARENT)
        for _ in range(2):
            await talk(address, GET, until=b"ok")
        assert found(made) == {"http/1": 2}
        assert set(series(made.metrics(), f"outbound_{DETECTED}")) == {
            frozenset({*PARENT, ("result", result)})
            for result in ("not_http", "http/1", "http/2", "read_timeout", "error")
        }
        assert series(made.metrics(), f"outbound_{TOOK}_count") == {frozenset(PARENT): 2}
        other = forwarded(made, bytes_only)
        assert await talk(other, b"PING\r\n", until=b"PING\r\n") == b"PING\r\n"
        assert found(made) == {"http/1": 2, "not_http": 1}
    async with engine() as made, echo_server() as grpc:
        async with echo_client(made.outbound(grpc.address, h2=True)[1]) as client:
            await client.unary(b"x")
        assert found(made) == {"http/2": 1}


async def test_a_client_that_waits_for_its_server() -> None:
    async with engine() as made, echo() as server:
        address = forwarded(made, server, detect_timeout_ns=1_000 * MS)
        reader, writer = await asyncio.open_connection(*address)
        # Whoever computes an increase sees the first of them, too.
        name = f"outbound_{DETECTED}"
        await eventually_async(lambda: list(series(made.metrics(), name).values()) == [0] * 5)
        await eventually_async(lambda: found(made) == {"read_timeout": 1})
        writer.write(b"late")
        writer.write_eof()
        assert await reader.read() == b"late"
        writer.close()
        await writer.wait_closed()
        above = by(made.metrics(), f"outbound_{TOOK}_bucket", "le")
    assert above == {"+Inf": 1}


async def test_a_client_that_goes_before_it_says_anything() -> None:
    async with engine() as made:
        address = forwarded(made, ("127.0.0.1", 1))
        with socket.create_connection(address) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await eventually_async(lambda: found(made) == {"error": 1})


async def test_what_is_inside_of_tls_is_what_counts_and_its_time_begins_with_it() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = way_to(made, server.address, way=TLS)
        await talk(address, GET, until=b"ok")
        assert found(made) == {"http/1": 1}
        assert found(made, "inbound") == {"http/2": 1}


async def test_where_a_header_says_so_nobody_looks_and_the_header_is_counted(
    tmp_path: Path,
) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        direct = made.direct(server.address, identity=identity_of(mesh(), "voting"))
        for port in (8080, 8080, 8081):
            await over_tls(direct, account="web", folder=tmp_path, first=header(port) + CLOSE)
        opaque = header(8081, kind=b"") + SECRET
        await over_tls(direct, account="web", folder=tmp_path, first=opaque)
        assert found(made, "inbound") == {}
        text = made.metrics()
    client = ("client_id", name_of("web"))

    def labels(port: int, protocol: str) -> frozenset[tuple[str, str]]:
        named = {("session_protocol", protocol), ("target_port", str(port)), ("target_name", "")}
        return frozenset({client, *named})

    assert series(text, "inbound_tcp_transport_header_connections_total") == {
        labels(8080, "http/1"): 2,
        labels(8081, "http/1"): 1,
        labels(8081, ""): 1,
    }


async def test_the_ports_that_a_peer_may_name_do_not_grow_us_without_bound(tmp_path: Path) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        direct = made.direct(server.address, identity=identity_of(mesh(), "voting"))
        for port in range(8080, 8150):
            await over_tls(direct, account="web", folder=tmp_path, first=header(port) + CLOSE)
        found = series(made.metrics(), "inbound_tcp_transport_header_connections_total")
    assert sum(found.values()) == 70


async def test_what_discovery_says_that_a_target_speaks() -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server, echo() as bytes_only:
        target, address = made.outbound(server.address)
        await talk(address, GET, until=b"ok")
        target.configure(owner=PARENT, protocol="http/1")
        await talk(address, GET, until=b"ok")
        table = made.table("outbound")
        opaque = table.install(b"db.test:5432")
        opaque.configure(opaque=True)
        opaque.forward(EndpointSpec(Address(*bytes_only)))
        await talk(made.server(table, target=opaque)[1], b"x", until=b"x")
        made.inbound(server.address)
        text = made.metrics()
    assert series(text, "outbound_tcp_protocol_connections_total") == {
        frozenset({("protocol", "detect")}): 1,
        frozenset({("protocol", "http/1"), *PARENT}): 1,
        frozenset({("protocol", "opaq")}): 1,
    }


async def test_a_connection_that_waits_for_the_profile_is_counted_as_that_says() -> None:
    async with engine() as made, echo() as server:
        table = made.table("outbound")
        target = table.install(b"10.0.0.9:80")
        reader, writer = await asyncio.open_connection(*made.server(table, target=target)[1])
        await eventually_async(lambda: target.in_use == 1)
        assert series(made.metrics(), "outbound_tcp_protocol_connections_total") == {}
        target.configure(opaque=True)
        target.forward(EndpointSpec(Address(*server)))
        writer.write(b"x")
        writer.write_eof()
        assert await reader.read() == b"x"
        writer.close()
        await writer.wait_closed()
        found = by(made.metrics(), "outbound_tcp_protocol_connections_total", "protocol")
    assert found == {"opaq": 1}
