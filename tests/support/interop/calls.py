"""What programs in pods do: calls to addresses of the cluster, by HTTP/1, gRPC or plain TCP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from linkerd2_py.base.tasks import cancel_all, spawn
from tests.support.grpc_echo import EchoClient, echo_client
from tests.support.http1_client import Answer, Http1Client
from tests.support.interop.cluster import Pod
from tests.support.interop.proxies import ADMIN

HOST = "shop.example:8080"


def get(path: str = "/", *fields: str, host: str = HOST) -> bytes:
    """The bytes of a request without a body."""
    return "\r\n".join((f"GET {path} HTTP/1.1", f"Host: {host}", *fields, "", "")).encode()


def ask_admin(client: Pod, server: Pod, path: str) -> int:
    """The status that the proxy of a pod answers somebody in another with, asked by its address."""
    ip = server.host.v4
    return ask(client, ip, ADMIN, get(path, host=f"{ip}:{ADMIN}")).status


@contextmanager
def connected(pod: Pod, ip: str, port: int) -> Iterator[Http1Client]:
    """A connection of a program in the pod."""
    with pod.entered():
        client = Http1Client.connect((ip, port))
    with client:
        yield client


def ask(pod: Pod, ip: str, port: int = 80, wire: bytes = get()) -> Answer:
    """One request on a connection of its own."""
    with connected(pod, ip, port) as client:
        return client.request(wire)


def told(answer: Answer) -> dict[str, Any]:
    """What the program said of a request that it served."""
    assert answer.status == 200, answer.wire
    found: dict[str, Any] = json.loads(answer.body)
    return found


def ours_among(names: Iterator[str] | list[str]) -> set[str]:
    """Fields that only proxies have use for. Who calls, `l5d-client-id`, is meant for the program."""
    return {name for name in names if name.startswith("l5d-")} - {"l5d-client-id"}


@asynccontextmanager
async def grpc_echo(pod: Pod, ip: str, port: int = 81) -> AsyncIterator[EchoClient]:
    """A channel whose connections are those of a program in the pod."""
    async with _door(pod, ip, port) as address, echo_client(address, authority=HOST) as client:
        yield client


@asynccontextmanager
async def _door(pod: Pod, ip: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """An address on this process's own loopback that leads to one seen from the pod."""
    entered: set[asyncio.Task[None]] = set()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with pod.host.connected(ip, port) as (back, there):
                await asyncio.gather(_pump(reader, there), _pump(back, writer))
        finally:
            writer.close()

    def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        entered.add(spawn(lead(reader, writer), name="door"))

    async with await asyncio.start_server(enter, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()
        await cancel_all(entered)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
