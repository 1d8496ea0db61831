"""A whole proxy whose workload's port a policy controller speaks of that the test plays.

Clients come from 127.0.0.2, of which policy knows nothing; from 127.0.0.1 the workload itself would come.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from linkerd2_py.proxy.policy.ports import PortPolicies
from tests.support.origin import Origin, origin
from tests.support.policy_stub import PolicyStub, authz
from tests.support.sidecar import InProcess, sidecar
from tests.support.wait import eventually_async, within

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
STRANGER, OTHER_STRANGER = "127.0.0.2", "127.0.0.3"
FROM_STRANGER = authz("strangers", networks=["127.0.0.2/32"])
NOBODY = authz("nobody", identities=["web.shop.serviceaccount.identity.linkerd.cluster.local"])


class Connection:
    """Of a client that keeps it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, path: str = "/", *, method: str = "GET") -> int:
        """The status of the answer."""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        async with within(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            await self.reader.readexactly(length)
        return int(head.split()[1])

    async def is_over(self) -> bool:
        """Whether the proxy ended it, in whatever way."""
        try:
            async with within(10):
                return await self.reader.read(1) == b""
        except ConnectionResetError:
            return True


@dataclass
class Rig:
    stub: PolicyStub
    server: Origin
    proxy: InProcess

    @property
    def port(self) -> int:
        return self.server.address[1]

    @asynccontextmanager
    async def connection(self, source: str = STRANGER) -> AsyncIterator[Connection]:
        door = self.proxy.static(direction="inbound")
        reader, writer = await asyncio.open_connection(*door, local_addr=(source, 0))
        try:
            yield Connection(reader, writer)
        finally:
            writer.close()

    async def status(self, path: str = "/", *, source: str = STRANGER, method: str = "GET") -> int:
        """0: a reset, as opaque connections get that are not let in."""
        try:
            async with self.connection(source) as connection:
                return await connection.ask(path, method=method)
        except (ConnectionResetError, asyncio.IncompleteReadError):
            return 0

    async def becomes(self, status: int, path: str = "/", *, source: str = STRANGER) -> None:
        async def so() -> bool:
            return await self.status(path, source=source) == status

        _: bool = await eventually_async(so)

    async def stub_is_heard(self) -> None:
        """What holds is what the controller said."""

        async def so() -> bool:
            asking = self.proxy.proxy.parts.discoveries
            ports = [one for one in asking if isinstance(one, PortPolicies)]
            return any(one.of(self.port).reference.kind == "server" for one in ports)

        _: bool = await eventually_async(so)

    async def metrics(self) -> str:
        return (await self.proxy.ask_admin("GET", "/metrics")).decode()


@asynccontextmanager
async def rig(answer: Any = None, *, default: str = "deny", **variables: str) -> AsyncIterator[Rig]:
    async with origin(lambda _head, _body: OK) as workload, PolicyStub() as stub:
        if answer is not None:
            stub.ports[workload.address[1]] = answer
        async with sidecar(
            INBOUND_STATIC_PORTS=f"127.0.0.1:0=127.0.0.1:{workload.address[1]}",
            INBOUND_IPS="127.0.0.1",
            INBOUND_DEFAULT_POLICY=default,
            **stub.variables(),
            **variables,
        ) as proxy:
            yield Rig(stub, workload, proxy)
