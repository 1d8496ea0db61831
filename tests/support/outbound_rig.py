"""A whole proxy whose target a policy controller and a destination service, both played by the test, speak
of; and two origins behind it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from linkerd2_py.proto.gen import destination_pb2 as destination
from tests.support.destination_messages import add
from tests.support.destination_stub import DestinationStub
from tests.support.origin import Answer, Origin, origin, talk
from tests.support.policy_stub import PolicyStub
from tests.support.sidecar import InProcess, sidecar
from tests.support.wait import eventually_async

WEB, V2 = "web.shop.svc.cluster.local:80", "v2.shop.svc.cluster.local:80"
SERVICE, OUTSIDE = "10.96.0.1:80", "203.0.113.9:80"
GET = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Rig:
    destination: DestinationStub
    policy: PolicyStub
    web: Origin
    v2: Origin
    proxy: InProcess

    async def ask(self, request: bytes = GET) -> bytes:
        return await talk(self.proxy.static(), request)

    async def status(self) -> int:
        """0: the connection was reset."""
        got = await self.ask()
        return int(got.split()[1]) if got else 0

    async def becomes(self, status: int) -> None:
        async def so() -> bool:
            return await self.status() == status

        _: bool = await eventually_async(so)

    async def follows(self, path: str) -> None:
        """For what is no HTTP, which the policy leads there."""

        async def so() -> bool:
            return self.destination.count(path) == 1

        _: bool = await eventually_async(so)

    def tell_profile(self) -> None:
        """As it is now."""
        for stream in self.destination.profile_gets:
            stream.send(self.destination.profiles[SERVICE])

    async def reached(self, other: Origin) -> None:
        """Requests of others arrive there."""
        before = len(other.heads)

        async def so() -> bool:
            return len(other.heads) > before

        _: bool = await eventually_async(so)

    async def reaches(self, other: Origin) -> None:
        """Requests arrive there."""
        before = len(other.heads)

        async def so() -> bool:
            await self.ask()
            return len(other.heads) > before

        _: bool = await eventually_async(so)


@asynccontextmanager
async def rig(
    answer: Any = None, *, target: str = SERVICE, of_v2: Answer | None = None, **variables: str
) -> AsyncIterator[Rig]:
    """`of_v2`: what V2 answers; None: as WEB does."""

    def ok(_head: bytes, _body: bytes) -> bytes:
        return OK

    async with (
        origin(ok) as web,
        origin(of_v2 or ok) as v2,
        DestinationStub() as stub,
        PolicyStub() as policy,
    ):
        stub.endpoints = {WEB: add(web.address), V2: add(v2.address)}
        stub.profiles[SERVICE] = destination.DestinationProfile(fully_qualified_name=WEB[:-3])
        policy.default_target = answer
        async with sidecar(
            OUTBOUND_STATIC_PORTS=f"127.0.0.1:0={target}",
            DESTINATION_SVC_ADDR=stub.address,
            DESTINATION_PROFILE_NETWORKS="10.0.0.0/8",
            **policy.variables(),
            **variables,
        ) as proxy:
            yield Rig(stub, policy, web, v2, proxy)


def at(path: str) -> bytes:
    """A GET of that path."""
    return GET.replace(b"GET /", b"GET " + path.encode())
