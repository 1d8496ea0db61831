"""A whole proxy whose policy controller, played by the test, says when endpoints that fail are left alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from linkerd2_py._ext.route.target import Target
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from tests.support.destination_messages import add
from tests.support.destination_stub import DestinationStub
from tests.support.origin import Origin, origin, talk
from tests.support.policy_stub import PolicyStub, backend, detected, outbound_route
from tests.support.series import by
from tests.support.sidecar import InProcess, sidecar
from tests.support.wait import eventually_async

WEB, V2 = "web.shop.svc.cluster.local:80", "v2.shop.svc.cluster.local:80"
SERVICE = "10.96.0.1:80"
GET = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"


@dataclass
class Rig:
    policy: PolicyStub
    good: Origin
    bad: Origin
    proxy: InProcess

    async def status(self) -> int:
        return int((await talk(self.proxy.static(), GET)).split()[1])

    def target(self) -> Target:
        """The one that the static port leads to."""
        (found,) = [one for one in self.proxy.targets("outbound") if one.key == SERVICE.encode()]
        return found

    def changes(self) -> dict[str, float]:
        text = b"".join(self.proxy.proxy.parts.registry.render()).decode()
        return by(text, "outbound_http_balancer_breaker_changes_total", "to")


def accrual(policy: outbound.OutboundPolicy, *, failures: int = 1) -> outbound.OutboundPolicy:
    """The same with breakers that stay open for an hour."""
    for one in (policy.protocol.detect.http1, policy.protocol.detect.http2):
        said = one.failure_accrual.consecutive_failures
        said.max_failures = failures
        said.backoff.min_backoff.seconds = said.backoff.max_backoff.seconds = 3600
    return policy


@asynccontextmanager
async def rig(policy: outbound.OutboundPolicy, *, service: str = WEB) -> AsyncIterator[Rig]:
    """Of the two endpoints of `service` one fails."""
    async with (
        origin(lambda _head, _body: OK) as good,
        origin(lambda _head, _body: BAD) as bad,
        DestinationStub() as stub,
        PolicyStub() as said,
    ):
        stub.endpoints = {WEB: add(good.address)}
        stub.endpoints[service] = add(good.address, bad.address)
        stub.profiles[SERVICE] = destination.DestinationProfile(fully_qualified_name=WEB[:-3])
        said.default_target = policy
        async with sidecar(
            OUTBOUND_STATIC_PORTS=f"127.0.0.1:0={SERVICE}",
            DESTINATION_SVC_ADDR=stub.address,
            DESTINATION_PROFILE_NETWORKS="10.0.0.0/8",
            **said.variables(),
        ) as proxy:
            yield Rig(said, good, bad, proxy)


async def left_alone(made: Rig) -> None:
    async def so() -> bool:
        await asyncio.gather(*(made.status() for _ in range(8)))
        return made.changes().get("open") == 1

    await eventually_async(so)
    before = len(made.bad.heads)
    assert [await made.status() for _ in range(20)] == [200] * 20
    assert len(made.bad.heads) == before


async def test_of_the_service_itself(caplog: pytest.LogCaptureFixture) -> None:
    async with rig(accrual(detected(WEB))) as made:
        await left_alone(made)
        states = {one["breaker"] for one in made.target().endpoints_state()}
        assert states == {"open", "closed"}
    host, port = made.bad.address
    assert f"{SERVICE}: endpoint {host}:{port} fails too much, and is left alone" in caplog.text
    assert "not done" not in caplog.text


async def test_of_the_backend_of_a_route() -> None:
    policy = accrual(detected(WEB, outbound_route(backend(V2))))
    async with rig(policy, service=V2) as made:
        await left_alone(made)
        assert [one["breaker"] for one in made.target().endpoints_state()] == ["closed"]


async def test_a_policy_that_says_so_no_more() -> None:
    async with rig(accrual(detected(WEB))) as made:
        await left_alone(made)
        made.policy.tell(SERVICE, detected(WEB))

        async def all_are_used() -> bool:
            await made.status()
            return [one["breaker"] for one in made.target().endpoints_state()] == [None, None]

        await eventually_async(all_are_used)
        assert all(one["ready"] for one in made.target().endpoints_state())


async def test_one_that_makes_no_sense_is_a_policy_that_cannot_be_used() -> None:
    policy = accrual(detected(WEB))
    policy.protocol.detect.http2.failure_accrual.consecutive_failures.backoff.max_backoff.seconds = 1
    async with rig(policy) as made:
        assert await made.status() == 500
        assert not made.good.heads
