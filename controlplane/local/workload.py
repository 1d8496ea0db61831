"""One workload: keeps its replicas as its newest spec wants them.

A step at a time: missing replicas are started, then those with an old spec are replaced one by
one (the next only when the last is ready), then the ones too many are drained and stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.local.addresses import AddressError
from linkerd2_py.controlplane.local.network import Network
from linkerd2_py.controlplane.local.plan import Door, PodPlan
from linkerd2_py.controlplane.local.pod import PodRunner, Surroundings
from linkerd2_py.controlplane.registry.mesh_spec import WorkloadSpec
from linkerd2_py.controlplane.registry.registry import Registry
from linkerd2_py.controlplane.registry.types import Pod

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where replicas are put and announced."""

    registry: Registry
    around: Surroundings
    network: Network
    door: Door
    on_change: Callable[[], None]

    async def join(self, spec: WorkloadSpec, *, name: str) -> PodPlan:
        """A place for one replica, and what its proxy proves who it is with. AddressError or OSError if there is none."""
        plan = await self.network.join(spec, name=name, door=self.door)
        if not spec.meshed:
            return plan
        try:
            identity = self.around.identities.issue(
                name, service_account=spec.service_account, namespace=spec.namespace
            )
        except OSError:
            await self.leave(plan)
            raise
        return plan.secured(identity)

    async def leave(self, plan: PodPlan) -> None:
        """Its programs have ended: nothing of it is left."""
        self.around.identities.withdraw(plan.name)
        await self.network.leave(plan)


class WorkloadRunner:
    """The replicas of one workload by number. `problem` says why a step could not be done."""

    def __init__(self, spec: WorkloadSpec, *, place: Place) -> None:
        self._spec = spec
        self._place = place
        self._pods: dict[int, PodRunner] = {}
        self._wake = asyncio.Event()
        self._ending = False
        self.problem = ""
        self.ended = spawn(self._converge(), name=f"workload {spec.name}")

    @property
    def pods(self) -> list[PodRunner]:
        return [self._pods[number] for number in sorted(self._pods)]

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen by waiting: all are ready or have failed."""
        there = len(self._pods) == self._spec.replicas or bool(self.problem)
        return there and all(pod.ready or pod.failed for pod in self._pods.values())

    def update(self, spec: WorkloadSpec) -> None:
        """Want this from now on."""
        self._spec = spec
        self._ending = False
        self.problem = ""
        self._wake.set()

    def renew(self) -> None:
        """Replace the replicas whose proxies trust other anchors than those in force."""
        self._wake.set()

    async def end(self) -> None:
        """Drain and stop every replica; the workload has left the mesh."""
        self.update(replace(self._spec, replicas=0))
        self._ending = True
        await asyncio.wait([self.ended])

    async def stop(self) -> None:
        """Stop every replica at once; the mesh is going down."""
        self.ended.cancel()
        await asyncio.wait([self.ended])
        await asyncio.gather(*(self._stop(n, drain=False) for n in list(self._pods)))

    async def _converge(self) -> None:
        while True:
            self._wake.clear()
            await self._step()
            if self._ending and not self._pods:
                return
            await self._wake.wait()

    async def _step(self) -> None:
        """Do what can be done now; anything that has to be waited for sets `_wake` later."""
        missing = [n for n in range(self._spec.replicas) if n not in self._pods]
        started = await asyncio.gather(*(self._start(number) for number in missing))
        if not all(started):
            return
        old = self._next_old()
        if old is not None:
            await self._stop(old, drain=True)
            self._wake.set()
            return
        extra = [n for n in self._pods if n >= self._spec.replicas]
        await asyncio.gather(*(self._stop(number, drain=True) for number in extra))

    def _next_old(self) -> int | None:
        """A replica to replace now: one that does not serve, else one if all others do."""
        wanted = replace(self._spec, replicas=0)
        kept = {n: pod for n, pod in self._pods.items() if n < self._spec.replicas}
        old = [n for n, pod in kept.items() if self._is_old(pod, wanted=wanted)]
        idle = [n for n in old if not kept[n].ready]
        if idle:
            return idle[0]
        fresh_ready = all(pod.ready for n, pod in kept.items() if n not in old)
        return old[0] if old and fresh_ready else None

    def _is_old(self, pod: PodRunner, *, wanted: WorkloadSpec) -> bool:
        if not self._place.around.identities.is_current(pod.plan.name):
            return True
        return replace(pod.plan.spec, replicas=0) != wanted

    async def _start(self, number: int) -> bool:
        name = f"{self._spec.name}-{number}"
        try:
            plan = await self._place.join(self._spec, name=name)
        except (AddressError, OSError) as error:
            self.problem = f"{name}: {error}"
            logger.warning("pod %s", self.problem)
            self._place.on_change()
            return False
        logger.info("pod %s starts at %s", name, plan.ip)
        runner = PodRunner(
            plan, around=self._place.around, on_change=lambda: self._on_change(number)
        )
        self._pods[number] = runner
        self._on_change(number)
        return True

    async def _stop(self, number: int, *, drain: bool) -> None:
        runner = self._pods[number]
        logger.info("pod %s stops", runner.plan.name)
        await runner.stop(drain=drain)
        del self._pods[number]
        self._place.registry.remove(Pod, key=runner.pod.key)
        await self._place.leave(runner.plan)
        self._place.on_change()

    def _on_change(self, number: int) -> None:
        runner = self._pods.get(number)
        if runner is not None:
            self._place.registry.put(runner.pod)
        self._wake.set()
        self._place.on_change()
