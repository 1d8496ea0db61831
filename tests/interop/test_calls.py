"""Proxies of two makes on our control plane: every protocol arrives, whole, as who it is from."""

from __future__ import annotations

import base64
import json
from itertools import product

import grpc
import pytest

from tests.support.grpc_echo import EchoClient
from tests.support.interop import workload
from tests.support.interop.calls import HOST, ask, connected, get, grpc_echo, ours_among, told
from tests.support.interop.proxies import Make
from tests.support.interop.shop import Shop
from tests.support.raw_socket import End
from tests.support.wait import eventually, in_time

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.parametrize(
        ("client", "server"),
        [pytest.param(*pair, id=f"{pair[0]}-to-{pair[1]}") for pair in product(Make, repeat=2)],
    ),
]
LIMIT_S = 20.0


def who(mesh: Shop, make: Make) -> str:
    return mesh.client(make).account.identity


def test_http1_is_balanced_and_arrives_as_it_was_sent(
    mesh: Shop, client: Make, server: Make
) -> None:
    ip, pod = mesh.service(server), mesh.client(client)
    names: set[str] = set()

    def both_have_answered() -> bool:
        answer = ask(pod, ip, wire=get("/a?b=c", "X-Own: kept"))
        seen = told(answer)
        names.add(seen["name"])
        assert seen["line"] == "GET /a?b=c HTTP/1.1"
        fields = seen["fields"]
        assert (fields["host"], fields["x-own"]) == (HOST, "kept")
        assert not ours_among(fields)
        assert fields["l5d-client-id"] == who(mesh, client)
        assert not ours_among([name.lower() for name, _ in answer.fields])
        assert len(answer.all("date")) == 1
        return len(names) == 2

    eventually(both_have_answered, deadline_s=LIMIT_S)
    for one in mesh.servers(server):
        labels = {"direction": "inbound", "tls": "true", "client_id": who(mesh, client)}
        assert one.proxy.count("request_total", **labels) > 0


def test_bodies_and_connections_are_kept(mesh: Shop, client: Make, server: Make) -> None:
    body = b"b" * 100_000
    head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    chunked = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with connected(mesh.client(client), mesh.service(server), 80) as http:
        assert told(http.request(head + body))["body"] == body.decode()
        assert told(http.request(get("/again")))["line"] == "GET /again HTTP/1.1"
        assert told(http.request(chunked + b"3\r\nabc\r\n0\r\n\r\n"))["body"] == "abc"
        assert http.request(get("/status/404")).status == 404
        assert http.request(get("/status/503")).status == 503


def test_websocket(mesh: Shop, client: Make, server: Make) -> None:
    asked = get(
        "/chat",
        *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
    )
    with connected(mesh.client(client), mesh.service(server), 80) as http:
        answer = http.request(asked)
        assert answer.status == 101
        assert answer.one("sec-websocket-accept") == "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
        http.send(b"\x81\x85\0\0\0\0hello")
        assert http.receive(11) == b"\x81\x85\0\0\0\0hello"
        http.half_close()
        assert http.receive_to_end() == (b"", End.FIN)


def test_connect(mesh: Shop, client: Make, server: Make) -> None:
    line = b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n"
    with connected(mesh.client(client), mesh.service(server), 80) as http:
        http.send(line)
        assert http.receive_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        http.send(b"tunnelled")
        assert http.receive(9) == b"tunnelled"


async def test_grpc(mesh: Shop, client: Make, server: Make) -> None:
    pod, ip = mesh.client(client), mesh.service(server)
    async with grpc_echo(pod, ip) as echo:
        answer = json.loads(await in_time(echo.unary(b"hello"), LIMIT_S))
        assert answer["body"] == "hello"
        assert not ours_among(answer["fields"])
        assert answer["fields"]["l5d-client-id"] == who(mesh, client)
        assert await streamed(echo) == [b"a", b"b"]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await in_time(echo.unary(b"", metadata=[("x-status", "NOT_FOUND")]), LIMIT_S)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert not ours_among([str(name) for name, _ in refused.value.trailing_metadata() or ()])


async def streamed(echo: EchoClient) -> list[bytes]:
    """What comes back of two messages, each sent when the one before is there."""
    call, found = echo.bidi(), []
    for message in (b"a", b"b"):
        await in_time(call.write(message), LIMIT_S)
        found.append(await in_time(call.read(), LIMIT_S))
    await call.done_writing()
    assert await in_time(call.read(), LIMIT_S) is grpc.aio.EOF
    return found


def test_opaque_bytes(mesh: Shop, client: Make, server: Make) -> None:
    """Also what looks like HTTP, and what a client says after which it says no more."""
    pod, ip = mesh.client(client), mesh.service(server)
    before = opened(mesh, server, by=who(mesh, client))
    with connected(pod, ip, workload.ECHO) as tcp:
        tcp.send(get())
        assert tcp.receive(len(get())) == get()
        tcp.send(b"\0last")
        tcp.half_close()
        assert tcp.receive_to_end() == (b"\0last", End.FIN)
    assert opened(mesh, server, by=who(mesh, client)) > before


def opened(mesh: Shop, server: Make, *, by: str) -> float:
    """How many connections that client has made to these servers by mutual TLS."""
    labels = {"direction": "inbound", "peer": "src", "tls": "true", "client_id": by}
    return sum(one.proxy.count("tcp_open_total", **labels) for one in mesh.servers(server))


def test_a_server_that_speaks_first(mesh: Shop, client: Make, server: Make) -> None:
    with connected(mesh.client(client), mesh.service(server), workload.GREETING) as tcp:
        assert tcp.receive_until(b"\r\n").startswith(f"220 {server}-".encode())
        tcp.send(b"QUIT\r\n")
        assert tcp.receive(6) == b"QUIT\r\n"
