"""`proxy-api`: holds the streams of proxies, and asks a destination each question once. Without one it
follows the cluster itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from linkerd2_py.base.backoff import unit_random
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.proxy_api.server import Served
from linkerd2_py.controlplane.run.components import (
    pass_on_certify,
    relay_to,
    serve_proxy_api,
    what_proxies_ask,
)
from linkerd2_py.controlplane.run.health import health_problem
from linkerd2_py.controlplane.run.kubernetes.destination import DestinationProcess
from linkerd2_py.controlplane.run.kubernetes.identity import IdentityProcess
from linkerd2_py.controlplane.run.kubernetes.process import Process

_LOOK_S: Final = 2.0
_LOOK_WHEN_WELL_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ProxyApiProcess:
    """What its flags say: who answers, each the address of another process or a component of this one."""

    listen: Sequence[Listen]
    destination: str | DestinationProcess
    identity: str | IdentityProcess | None = None

    async def compose(self, process: Process) -> None:
        """See `Compose`."""
        services = [*await self._answers(process), *await self._certificates(process)]
        await process.running.enter_async_context(serve_proxy_api(services, listen=self.listen))

    async def _answers(self, process: Process) -> list[Served]:
        if isinstance(self.destination, DestinationProcess):
            return await self.destination.answer(process)
        running = process.running
        relayed = await running.enter_async_context(
            relay_to(self.destination, metrics=process.metrics)
        )
        other = await running.enter_async_context(_followed(self.destination))
        process.health.needs.append(lambda: "" if other.seen.is_set() else other.problem)
        process.health.problems.append(
            lambda: [other.problem] if other.problem and other.seen.is_set() else []
        )
        return [
            Served(name, methods, other.seen.is_set, other.saw, relayed.close)
            for name, methods in relayed.methods().items()
        ]

    async def _certificates(self, process: Process) -> list[Served]:
        if isinstance(self.identity, IdentityProcess):
            return what_proxies_ask(identity=await self.identity.certify(process))
        if self.identity is None:
            return []
        return [await process.running.enter_async_context(pass_on_certify(self.identity))]


class _Other:
    """How a destination is. Once it was `seen` serving, what it said holds while it is away."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.seen = asyncio.Event()
        self.problem = f"{address}: nothing was heard of it yet"

    async def saw(self) -> None:
        """Wait until it was."""
        await self.seen.wait()

    async def look(self) -> None:
        """Now and then, until cancelled."""
        while True:
            self.problem = await health_problem(self._address)
            if not self.problem:
                self.seen.set()
            pause_s = _LOOK_S if self.problem else _LOOK_WHEN_WELL_S
            await asyncio.sleep(pause_s * (1 + unit_random()))


@asynccontextmanager
async def _followed(address: str) -> AsyncIterator[_Other]:
    other = _Other(address)
    task = supervise(other.look, name="destination-health")
    try:
        yield other
    finally:
        await cancel_all([task])
