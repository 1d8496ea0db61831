"""A port of a pod, reached through the API server: what `kubectl port-forward` does, for one connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Self

from linkerd2_py.base.tasks import cancel_all, spawn

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

PROTOCOL: Final = "v4.channel.k8s.io"
_DATA, _ERROR = b"\0", b"\1"
"""Every message begins with its channel. The first of each only says the port, in two bytes."""
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_CHUNK: Final = 64 * 1024


class Forwarded:
    """`address` leads to the port while this lasts; `problem` is what the node says when it does not."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.problem = ""


@asynccontextmanager
async def forwarded(
    api: ApiServer, *, namespace: str, pod: str, port: int
) -> AsyncIterator[Forwarded]:
    """Raises `ApiError` where the API server does not pass it on."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
    async with api.websocket(path, {"ports": str(port)}, protocol=PROTOCOL) as far, _Door() as near:
        found = Forwarded(near.address)
        carrying = spawn(_carry_first(near, far, found), name="forward")
        try:
            yield found
        finally:
            await cancel_all([carrying])


async def carried(api: ApiServer, near: _Connection, *, namespace: str, pod: str, port: int) -> str:
    """One connection that was taken here, until it is over: what the node says when it does not lead to the
    port, or nothing. Raises `ApiError` where the API server does not pass it on.
    """
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
    async with api.websocket(path, {"ports": str(port)}, protocol=PROTOCOL) as far:
        found = Forwarded("")
        await _carry(near, far, found)
        return found.problem


class _Door:
    """A port of this machine, and the one connection that is taken there, until the end of the block."""

    def __init__(self) -> None:
        self._taken: asyncio.Queue[_Connection] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._taken.put_nowait((reader, writer))

    async def taken(self) -> _Connection:
        """The first."""
        return await self._taken.get()


async def _carry_first(near: _Door, far: ClientWebSocketResponse, found: Forwarded) -> None:
    await _carry(await near.taken(), far, found)


async def _carry(near: _Connection, far: ClientWebSocketResponse, found: Forwarded) -> None:
    """Both ways, until the far end is over."""
    reader, writer = near
    there = spawn(_send(reader, far), name="forward-there")
    try:
        await _receive(far, writer, found)
    finally:
        writer.close()
        await cancel_all([there])


async def _send(reader: asyncio.StreamReader, far: ClientWebSocketResponse) -> None:
    while data := await reader.read(_CHUNK):
        await far.send_bytes(_DATA + data)


async def _receive(
    far: ClientWebSocketResponse, writer: asyncio.StreamWriter, found: Forwarded
) -> None:
    begun = set()
    async for message in far:
        channel, data = message.data[:1], message.data[1:]
        if channel not in begun:
            begun.add(channel)
        elif channel == _DATA:
            writer.write(data)
            await writer.drain()
        elif channel == _ERROR:
            found.problem = data.decode(errors="replace").strip()
            return
