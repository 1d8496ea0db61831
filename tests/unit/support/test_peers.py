"""nginx, the HTTP/1 client and the gRPC echo agree with each other: a peer that fails here is no
oracle.
"""

import asyncio
from pathlib import Path

import grpc
import pytest

from tests.support.grpc_echo import echo_client, echo_server
from tests.support.http1_client import Http1Client
from tests.support.nginx import nginx
from tests.support.wait import in_time


def test_nginx_answers_the_raw_client(tmp_path: Path) -> None:
    with nginx(tmp_path) as server, Http1Client.connect(server.http1) as client:
        (server.files / "page").write_bytes(b"x" * 5000)
        hello = client.request(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (hello.status, hello.body) == (200, b"hello\n")
        page = client.request(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
        assert page.body == b"x" * 5000
        head = client.request(b"HEAD /page HTTP/1.1\r\nHost: a\r\n\r\n", method="HEAD")
        assert (head.one("content-length"), head.body) == ("5000", b"")
        assert client.request(b"GET /empty HTTP/1.1\r\nHost: a\r\n\r\n").status == 204


async def test_grpc_echo_speaks_every_shape() -> None:
    async with echo_server() as server, echo_client(server.address) as client:
        assert await client.unary(b"one") == b"one"
        assert [line async for line in client.server_stream(b"a\nb")] == [b"a", b"b"]
        assert await client.client_stream(iter([b"a", b"b"])) == b"ab"
        assert [message async for message in client.bidi(iter([b"x", b"y"]))] == [b"x", b"y"]
        assert server.seen.calls == ["Unary", "ServerStream", "ClientStream", "Bidi"]


async def test_grpc_echo_answers_with_the_status_and_trailers_asked_for() -> None:
    async with echo_server() as server, echo_client(server.address) as client:
        asked = (("x-status", "NOT_FOUND"), ("x-message", "gone"), ("x-trailer", "t"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.unary(b"", metadata=asked)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert caught.value.details() == "gone"
        assert dict(caught.value.trailing_metadata())["x-trailer"] == "t"


async def test_grpc_echo_observes_cancellation_and_deadlines() -> None:
    async with echo_server() as server, echo_client(server.address) as client:
        held = client.unary(b"", metadata=(("x-hold", "1"),))
        sending = asyncio.ensure_future(held)  # noqa: TID251 - awaited below
        await in_time(server.seen.held.wait(), 5)
        held.cancel()
        await in_time(server.seen.cancelled.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await sending
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.unary(b"", metadata=(("x-hold", "1"),), timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
