"""A name server of a mesh on a free port of loopback, and dnspython as its client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import dns.asyncquery
import dns.message

from linkerd2_py.controlplane.local.names.server import DnsServer
from linkerd2_py.controlplane.local.names.zone import Zone
from tests.support.local_mesh import LocalMesh
from tests.support.ports import bound_pair

ANSWER_S = 10.0
OWN = "itself"
"""In `forward_to`, the address that the server is started at."""


class OwnDns:
    """Questions to the server at `address`."""

    forward_to: Callable[[Sequence[str]], None]

    def __init__(self, local_mesh: LocalMesh, *, address: tuple[str, int]) -> None:
        self.local_mesh = local_mesh
        self.address = address
        self.host, self.port = address

    async def ask(
        self, name: str, kind: str = "A", *, stream: bool = False, edns: int | None = None
    ) -> dns.message.Message:
        """The answer to a question; `edns`: the payload that the client takes."""
        query = dns.message.make_query(name, kind)
        if edns is not None:
            query.use_edns(0, payload=edns)
        return await self.put(query, stream=stream)

    async def put(self, query: dns.message.Message, *, stream: bool = False) -> dns.message.Message:
        """The answer to a query made by the caller."""
        ask = dns.asyncquery.tcp if stream else dns.asyncquery.udp
        return await ask(query, self.host, timeout=ANSWER_S, port=self.port)

    async def connect(
        self, *, client: str = "127.0.0.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port, local_addr=(client, 0))


@asynccontextmanager
async def own_dns(
    local_mesh: LocalMesh,
    *,
    forward_to: Sequence[str] = (),
    idle_s: float = 10.0,
    timeout_s: float = 2.0,
) -> AsyncIterator[OwnDns]:
    """Serve the names of `local_mesh` until the block ends."""
    udp, tcp = bound_pair()
    address: tuple[str, int] = udp.getsockname()
    others = [f"{address[0]}:{address[1]}" if other == OWN else other for other in forward_to]
    server = DnsServer(
        Zone(lambda: local_mesh.mesh), forward_to=others, idle_s=idle_s, timeout_s=timeout_s
    )
    await server.start(udp, tcp)
    try:
        made = OwnDns(local_mesh, address=address)
        made.forward_to = server.forward_to
        yield made
    finally:
        await server.stop()
    assert (udp.fileno(), tcp.fileno()) == (-1, -1)


async def read_message(reader: asyncio.StreamReader) -> dns.message.Message:
    """The next answer on a connection."""
    size = int.from_bytes(await reader.readexactly(2))
    return dns.message.from_wire(await reader.readexactly(size))


def framed(raw: bytes) -> bytes:
    """A message as it goes over TCP."""
    return len(raw).to_bytes(2) + raw
