"""What goes over the wire between two proxies, one of which may be Linkerd's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events
import pytest

from linkerd2_py._ext.tls.identity import ServerIdentity
from tests.support.engine import engine
from tests.support.origin import origin, talk
from tests.support.ways import mesh
from tests.support.workloads import identity_of, name_of

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FORGED = b"l5d-dst-canonical: forged.test:80\r\nl5d-dst-override: forged.test:80\r\nl5d_dst_override: x\r\n"


class Peer:
    """Another proxy, as far as requests over HTTP/2 go."""

    def __init__(self) -> None:
        self.requests: list[list[tuple[str, str]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        codec = h2.connection.H2Connection(config)
        codec.initiate_connection()
        while data := await reader.read(65536):
            for event in codec.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self.requests.append([(str(name), str(value)) for name, value in event.headers])
                    codec.send_headers(event.stream_id, [(":status", "204")], end_stream=True)
            writer.write(codec.data_to_send())
        writer.close()


@asynccontextmanager
async def peer() -> AsyncIterator[tuple[Peer, tuple[str, int]]]:
    made = Peer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with server:
        yield made, server.sockets[0].getsockname()[:2]


async def carried(request: bytes, **options: object) -> list[tuple[str, str]]:
    """The fields of one request as the peer gets it."""
    async with engine() as made, peer() as (other, address):
        _target, door = made.outbound(address, h2=True, **options)  # type: ignore[arg-type]
        got = await talk(door, request, until=b"\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 204")
        (fields,) = other.requests
        return fields


@pytest.mark.parametrize(
    ("request_line", "host"),
    [("GET / HTTP/1.1", "Web.test"), ("GET http://web.test:81/x HTTP/1.1", "other.test")],
)
async def test_http1_carried_over_http2_has_its_host_beside_the_authority(
    request_line: str, host: str
) -> None:
    """Linkerd's inbound gives the program the Host that it gets, and no other."""
    fields = await carried(f"{request_line}\r\nHost: {host}\r\n\r\n".encode())
    authority = dict(fields)[":authority"]
    assert [value for name, value in fields if name == "host"] == [authority]
    assert fields[-1][0] == "l5d-orig-proto" or ("l5d-orig-proto", "HTTP/1.1") in [
        (name, value.partition(";")[0]) for name, value in fields
    ]


async def test_http2_itself_has_none() -> None:
    async with engine() as made, peer() as (other, address):
        _target, door = made.outbound(address, h2=True)
        reader, writer = await asyncio.open_connection(*door)
        codec = h2.connection.H2Connection()
        codec.initiate_connection()
        head = {":method": "GET", ":scheme": "http", ":path": "/", ":authority": "web.test"}
        codec.send_headers(1, list(head.items()), end_stream=True)
        writer.write(codec.data_to_send())
        ended = False
        while not ended:
            events = codec.receive_data(await reader.read(65536))
            ended = any(isinstance(event, h2.events.StreamEnded) for event in events)
        writer.close()
        (fields,) = other.requests
        assert "host" not in dict(fields)


async def test_peers_are_told_nothing_that_linkerds_do_not_say() -> None:
    request = b"GET / HTTP/1.1\r\nHost: web.test\r\n" + FORGED + b"\r\n"
    names = [name for name, _ in await carried(request)]
    assert [name for name in names if name.startswith("l5d")] == ["l5d-orig-proto"]


async def test_names_are_told_to_peers_that_want_them() -> None:
    request = b"GET / HTTP/1.1\r\nHost: web.test\r\n" + FORGED + b"\r\n"
    fields = dict(await carried(request, tells_names=True))
    assert fields["l5d-dst-canonical"] == "svc.test:80"
    assert "l5d-dst-override" not in fields


@pytest.mark.parametrize("named", [False, True])
async def test_what_an_application_says_of_its_target_goes_no_further(named: bool) -> None:
    """Not to a program without a proxy, and not past one that asks a peer who it is."""
    request = b"GET / HTTP/1.1\r\nHost: web.test\r\n" + FORGED + b"\r\n"
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = server.address
        if named:
            caller, callee = identity_of(mesh(), "web"), identity_of(mesh(), "voting")
            inbound = made.inbound(address, identity=callee)
            who = ServerIdentity(name_of("voting"))
            address = made.outbound(inbound, h2=True, identity=caller, peer=who)[1]
        else:
            address = made.outbound(address)[1]
        await talk(address, request, until=b"ok")
    assert b"dst-" not in server.heads[0].lower()
    assert b"dst_" not in server.heads[0].lower()


@pytest.mark.parametrize("hinted", [False, True])
async def test_a_peer_that_is_hinted_opaque_does_not_look(hinted: bool) -> None:
    """Its program gets what was sent: a proxy that looked would have added who calls."""
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        caller, callee = identity_of(mesh(), "web"), identity_of(mesh(), "voting")
        direct = made.direct(server.address, port=7000, identity=callee)
        _target, door = made.outbound(
            (direct[0], 7000),
            identity=caller,
            peer=ServerIdentity(name_of("voting"), tunnel_port=direct[1]),
            hinted_opaque=hinted,
        )
        request = b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n"
        assert (await talk(door, request, until=b"ok")).startswith(b"HTTP/1.1 200")
    assert (b"l5d-client-id" in server.heads[0].lower()) == (not hinted)
