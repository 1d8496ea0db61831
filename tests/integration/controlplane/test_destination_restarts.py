"""A destination that is restarted under two thousand streams of one relay: none of them ends or hears of an
empty set, and what is asked again is asked spread over time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.base.backoff import Backoff
from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.mesh.objects import PortSpec
from linkerd2_py.controlplane.proxy_api.relay import relay as relays
from linkerd2_py.controlplane.proxy_api.relay.links import Links
from linkerd2_py.controlplane.proxy_api.relay.questions import DESTINATION, Question
from linkerd2_py.controlplane.proxy_api.relay.relay import Relay
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.proxy_api.service import DestinationService
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.proto.gen import destination_pb2 as messages
from tests.support.local_mesh import LocalMesh
from tests.support.ports import free_port
from tests.support.wait import eventually_async

SERVICES, PROXIES = 200, 2_000
POD = Replica("default", "web-0", "web", "127.0.1.1", {8080: 41001}, ready=True, status="Running")
LIMIT_S = 60.0


def service(number: int) -> ServiceSpec:
    return ServiceSpec("default", f"web-{number}", "web", (PortSpec("http", 80, 8080),))


class Proxy:
    """Which ports it balances over; whether it was ever left with none, and whether its stream has ended."""

    def __init__(self) -> None:
        self.now: set[int] = set()
        self.was_empty = False
        self.ended = False

    async def follow(self, relay: Relay, question: Question) -> None:
        async for told in await relay.subscribe(question):
            update = messages.Update.FromString(told)
            self.now |= {one.addr.port for one in update.add.addrs}
            self.now -= {one.port for one in update.remove.addrs}
            self.was_empty |= not self.now
        self.ended = True


class Rig:
    """A destination that comes and goes at one address, and a relay with its proxies."""

    def __init__(self) -> None:
        self.local_mesh = LocalMesh()
        self.local_mesh.apply(services=[service(n) for n in range(SERVICES)], pods=[POD])
        self._port = free_port()
        self._links = Links(f"127.0.0.1:{self._port}")
        self._relay = Relay(self._links, on_overflow=lambda: None)
        self._behind: ProxyApi | None = None
        self.destination: Destination | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self) -> None:
        self.destination = Destination(self.local_mesh.store, metrics=CollectorRegistry())
        self._behind = ProxyApi([DestinationService(self.destination).served()])
        self._behind.bind(port=self._port)
        await self._behind.start()

    async def go(self) -> None:
        if self._behind and self.destination:
            await self._behind.stop(grace_s=0.0)
            self.destination.close()

    def ask(self) -> list[Proxy]:
        proxies = [Proxy() for _ in range(PROXIES)]
        for number, proxy in enumerate(proxies):
            path = f"web-{number % SERVICES}.default.svc.cluster.local:80"
            request = messages.GetDestination(path=path).SerializeToString()
            question = Question(f"/{DESTINATION}/Get", request)
            self._tasks.append(spawn(proxy.follow(self._relay, question), name="proxy"))
        return proxies

    async def stop(self) -> None:
        self._relay.close()
        await cancel_all(self._tasks)
        await self._links.close()
        await self.go()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    await rig.stop()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every pause before a question is asked again."""
    taken: list[float] = []

    class Noted(Backoff):
        def next_delay_s(self) -> float:
            delay_s = super().next_delay_s()
            taken.append(delay_s)
            return delay_s

    monkeypatch.setattr(relays, "Backoff", Noted)
    return taken


@pytest.mark.timeout(300)
async def test_no_proxy_notices_and_no_question_comes_with_all_others(
    rig: Rig, pauses: list[float]
) -> None:
    await rig.come()
    proxies = rig.ask()
    await eventually_async(lambda: all(one.now == {41001} for one in proxies), deadline_s=LIMIT_S)
    first = rig.destination
    assert first is not None
    # A question is asked once, however many proxies ask it.
    assert first.endpoints.streams == SERVICES
    assert not pauses
    await rig.go()
    # Meanwhile one pod has taken the place of another.
    rig.local_mesh.put(replace(POD, name="web-1", ports={8080: 41002}))
    rig.local_mesh.remove(POD)
    await eventually_async(lambda: len(pauses) >= SERVICES, deadline_s=LIMIT_S)
    assert all(one.now == {41001} for one in proxies)
    await rig.come()
    await eventually_async(lambda: all(one.now == {41002} for one in proxies), deadline_s=LIMIT_S)
    assert not any(one.was_empty or one.ended for one in proxies)
    assert rig.destination is not None
    assert rig.destination.endpoints.streams == SERVICES
    # By its own pause each of them comes at a time of its own.
    shortest = relays.PAUSES.min_s
    tenths = Counter(int(10 * (pause / shortest - 1)) for pause in pauses[:SERVICES])
    assert len(tenths) >= 9
    assert max(tenths.values()) < SERVICES / 4
