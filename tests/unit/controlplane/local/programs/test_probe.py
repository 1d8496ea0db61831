"""How a program is asked whether it serves."""

from __future__ import annotations

import asyncio

import pytest

from linkerd2_py.controlplane.local.programs.probe import Probe


async def test_a_probe_names_an_ipv6_address_as_http_does() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "::1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await Probe("::1", port, path="/ready").answered()
    assert f"\r\nHost: [::1]:{port}\r\n".encode() in heads[0]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 204 \r\n\r\n", ""),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "GET /ready on {where} is answered 503"),
        (b"HTTP/1.1 5\x1b[2J Busy\r\n\r\n", r"GET /ready on {where} is answered 5\x1b[2J"),
        (b"nonsense\n", "GET /ready on {where} is answered in something other than HTTP/1"),
        (b"", "GET /ready on {where} is not answered in HTTP"),
        (b"x" * 10_000, "GET /ready on {where} is not answered in HTTP"),
    ],
)
async def test_http_probe(answer: bytes, expected: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /ready HTTP/1.1\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        probe = Probe("127.0.0.1", port, path="/ready")
        assert await probe.refusal() == expected.format(where=f"127.0.0.1:{port}")
        assert await probe.answered() == (not expected)
        assert await Probe("127.0.0.1", port).answered()
    assert not await Probe("127.0.0.1", port).answered()
    assert await Probe("127.0.0.1", port).refusal() == f"nothing answers on 127.0.0.1:{port}"
