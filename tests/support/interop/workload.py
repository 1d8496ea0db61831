"""The program in a pod: HTTP/1, gRPC and plain TCP on fixed ports, each telling what reached it.

python -m tests.support.interop.workload NAME
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from email.utils import formatdate
from typing import Final

import grpc

from tests.support.grpc_echo import Echo, Seen

HTTP: Final = 8080
GRPC: Final = 8081
GREETING: Final = 7000
ECHO: Final = 7001
PORTS: Final = {"http": HTTP, "grpc": GRPC, "greeting": GREETING, "echo": ECHO}
READY: Final = "serves"
_ACCEPT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class EchoWho(Echo):
    """`Unary` tells who answered, and what else the call carried."""

    def __init__(self, name: str) -> None:
        super().__init__(Seen())
        self._name = name

    async def unary(self, request: bytes, call: grpc.aio.ServicerContext) -> bytes:
        await super().unary(request, call)
        told = {"name": self._name, "fields": self.seen.metadata[-1], "body": request.decode()}
        return json.dumps(told).encode()


class Http1:
    """Tells the head of each request; needs a Host, as many do; speaks WebSocket and CONNECT as far as bytes go.

    `/status/N` answers N, `/abort` ends the connection without an answer.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        fields = {
            name.lower(): text.strip() for name, _, text in (one.partition(":") for one in lines)
        }
        body = await _body(reader, fields)
        if target == "/abort":
            writer.transport.abort()
            return False
        if method == "CONNECT" or fields.get("upgrade") == "websocket":
            writer.write(self._switched(method, fields))
            await echo(reader, writer)
            return False
        told = {"name": self._name, "line": first, "fields": fields, "body": body.decode()}
        writer.write(self._answer(target, fields, json.dumps(told).encode()))
        await writer.drain()
        return fields.get("connection") != "close"

    def _switched(self, method: str, fields: Mapping[str, str]) -> bytes:
        if method == "CONNECT":
            return f"HTTP/1.1 200 OK\r\nx-name: {self._name}\r\n\r\n".encode()
        key = fields["sec-websocket-key"].encode() + _ACCEPT
        accept = base64.b64encode(hashlib.sha1(key).digest()).decode()
        head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        return f"{head}sec-websocket-accept: {accept}\r\nx-name: {self._name}\r\n\r\n".encode()

    def _answer(self, target: str, fields: Mapping[str, str], body: bytes) -> bytes:
        asked = target.rpartition("/status/")[2]
        status = 400 if "host" not in fields else int(asked) if asked.isdecimal() else 200
        date = formatdate(usegmt=True)
        head = f"HTTP/1.1 {status} Told\r\ndate: {date}\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def _body(reader: asyncio.StreamReader, fields: Mapping[str, str]) -> bytes:
    if "transfer-encoding" not in fields:
        return await reader.readexactly(int(fields.get("content-length", 0)))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Whatever comes goes back, until the client has no more to say."""
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def run(name: str) -> None:
    """Serve until killed."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"220 {name}\r\n".encode())
        await echo(reader, writer)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((EchoWho(name),))
    server.add_insecure_port(f"0.0.0.0:{GRPC}")
    await server.start()
    for port, serve in ((HTTP, Http1(name).serve), (GREETING, greet), (ECHO, echo)):
        await asyncio.start_server(serve, "0.0.0.0", port)
    print(READY, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
