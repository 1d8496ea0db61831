"""HTTP/1 exchanges through one proxy, through two, and with TLS between them, byte for byte."""

import asyncio
import socket

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from tests.support.engine import engine
from tests.support.origin import origin, talk
from tests.support.ways import ONE, every_way, way_to

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@every_way
async def test_a_request_and_its_response_pass(way: str) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = way_to(made, server.address, way=way)
        answer = await talk(
            address, b"GET /a?b=c HTTP/1.1\r\nHost: svc.test\r\nX-One: 1\r\n\r\n", until=b"ok"
        )
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\nok")
    head = server.heads[0]
    assert head.startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"host: svc.test" in head.lower()
    assert b"l5d-orig-proto" not in head.lower()
    assert b"l5d-orig-proto" not in answer.lower()


@every_way
async def test_keep_alive_reuses_one_connection(way: str) -> None:
    async with engine() as made, origin(lambda _head, _body: OK) as server:
        address = way_to(made, server.address, way=way)
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(5):
            writer.write(b"GET / HTTP/1.1\r\nHost: svc.test\r\n\r\n")
            await reader.readuntil(b"\r\n\r\nok")
        writer.close()
        await writer.wait_closed()
    assert len(server.heads) == 5
    assert server.connections <= 2


@every_way
async def test_pipelined_requests_are_answered_in_order(way: str) -> None:
    def answer(head: bytes, _body: bytes) -> bytes:
        path = head.split()[1]
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(path), path)

    async with engine() as made, origin(answer) as server:
        address = way_to(made, server.address, way=way)
        burst = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(20))
        got = await talk(address, burst, until=b"/19")
    bodies = [part.split(b"\r\n\r\n")[1] for part in got.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [b"/%d" % i for i in range(20)]


@every_way
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 5000, 3_000_000])
async def test_request_bodies_arrive_whole(way: str, size: int, *, chunked: bool) -> None:
    body = bytes(i % 251 for i in range(size))
    async with engine() as made, origin(lambda _head, got: OK if got == body else b"") as server:
        address = way_to(made, server.address, way=way)
        if chunked:
            pieces = [body[i : i + 7001] for i in range(0, size, 7001)]
            framed = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
            head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        else:
            framed, head = body, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
        got = await talk(address, head + framed, until=b"ok")
    assert got.startswith(b"HTTP/1.1 200")


@every_way
@pytest.mark.parametrize("size", [1, 20_000, 3_000_000])
async def test_response_bodies_arrive_whole(way: str, size: int) -> None:
    body = bytes(i % 251 for i in range(size))
    response = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + body
    async with engine() as made, origin(lambda _head, _body: response) as server:
        address = way_to(made, server.address, way=way)
        got = await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert got.split(b"\r\n\r\n", 1)[1] == body


@every_way
async def test_chunked_responses_keep_their_trailers(way: str) -> None:
    response = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n"
    async with engine() as made, origin(lambda _head, _body: response) as server:
        address = way_to(made, server.address, way=way)
        got = await talk(
            address,
            b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n",
            until=b"\r\n0\r\nx-sum: 7\r\n\r\n",
        )
    assert b"3\r\nabc\r\n" in got


async def test_a_truncated_response_is_never_a_clean_end() -> None:
    def answer(_head: bytes, _body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"

    async with engine() as made, origin(answer, close_after=1) as server:
        address = way_to(made, server.address, way=ONE)
        got = await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"\r\n0\r\n" not in got
    assert b"502" not in got


async def test_connection_refused_is_502_with_the_proxys_headers() -> None:
    async with engine() as made:
        table = made.table()
        target = table.install(b"gone.test:80")
        target.configure()
        target.forward(EndpointSpec(unused()))
        _server, address = made.server(table, target=target)
        got = await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = got.lower()
    assert head.startswith(b"http/1.1 502 ")
    assert b"l5d-proxy-error: " in head
    assert b"l5d-proxy-connection: close" in head
    assert b"connection: close" in head
    assert b"content-length: 0" in head


async def test_no_ready_endpoint_is_504_and_then_503_at_once() -> None:
    async with engine(failfast_ns=50_000_000) as made:
        target, address = made.outbound()
        first = await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        second = await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        async with origin(lambda _head, _body: OK) as server:
            target.replace([spec(server.address)])
            third = await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 504 ")
    assert second.startswith(b"HTTP/1.1 503 ")
    assert third.startswith(b"HTTP/1.1 ")


async def test_requests_beyond_the_in_flight_limit_are_shed() -> None:
    async with engine(max_in_flight=0) as made, origin(lambda _head, _body: OK) as server:
        _target, address = made.outbound(server.address)
        answer = await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert not server.heads


async def test_a_waiting_request_goes_when_an_endpoint_comes() -> None:
    async with (
        engine(failfast_ns=5_000_000_000) as made,
        origin(lambda _head, body: OK if body == b"abc" else b"") as server,
    ):
        target, address = made.outbound()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        await writer.drain()
        target.replace([spec(server.address)])
        await reader.readuntil(b"\r\n\r\nok")
        writer.close()
        await writer.wait_closed()


def unused() -> Address:
    """An address nobody listens on: bound once, then released."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address(*probe.getsockname())


def spec(address: tuple[str, int]) -> EndpointSpec:
    return EndpointSpec(Address(*address))


@pytest.mark.parametrize("ending", [b"", b"connection: close\r\n"])
async def test_an_http2_request_reaches_a_server_that_speaks_only_http1(ending: bytes) -> None:
    refusal = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 7\r\n" + ending + b"\r\nInvalid"

    def answer(head: bytes, _body: bytes) -> bytes:
        return OK if head.startswith(b"GET / HTTP/1.1\r\n") else refusal

    async with engine() as made, origin(answer, close_after=1 if ending else 0) as server:
        address = made.inbound(server.address)
        for _ in range(3):
            curl = await asyncio.create_subprocess_exec(
                "curl",
                "-s",
                "--http2-prior-knowledge",
                f"http://{address[0]}:{address[1]}/",
                stdout=asyncio.subprocess.PIPE,
            )
            assert (await curl.communicate())[0] == b"ok"


@pytest.mark.parametrize(("method", "status"), [(b"GET", b"200"), (b"POST", b"502")])
async def test_a_pooled_connection_that_ends_under_a_request(method: bytes, status: bytes) -> None:
    seen: list[bytes] = []

    def answer(head: bytes, _body: bytes) -> bytes:
        seen.append(head.split()[1])
        return b"" if seen.count(b"/die") == 1 and seen[-1] == b"/die" else OK

    async with engine() as made, origin(answer) as server:
        _target, address = made.outbound(server.address)
        assert b" 200 " in await talk(
            address, b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n", until=b"ok"
        )
        request = method + b" /die HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        got = await talk(address, request)
    assert got.startswith(b"HTTP/1.1 " + status)
    assert seen.count(b"/die") == (2 if method == b"GET" else 1)
