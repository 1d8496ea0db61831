"""One workload: keeps its replicas as its newest spec wants them.

A step at a time: missing replicas are started, then those with an old spec are replaced one by
one (the next only when the last is ready), then the ones too many are drained and stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from linkerd2_py.base.backoff import Backoff, BackoffRange, unit_random
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tasks import report_failure, supervise
from linkerd2_py.controlplane.local.place.place import AddressError, Place
from linkerd2_py.controlplane.local.place.plan import DoorFinder, PodPlan
from linkerd2_py.controlplane.local.programs.of_pod import Surroundings
from linkerd2_py.controlplane.local.supervise.pod import PodRunner
from linkerd2_py.controlplane.sources.local.mesh_spec import WorkloadSpec
from linkerd2_py.controlplane.sources.local.source import LocalSource

logger = logging.getLogger(__name__)

TRY_AGAIN: Final = BackoffRange(min_s=0.5, max_s=30.0, jitter=0.2)
"""Between two tries to place replicas that could not be placed: what is full now may not be so for long."""


@dataclass(frozen=True, slots=True)
class Lodging:
    """Where replicas are put and announced."""

    source: LocalSource
    around: Surroundings
    place: Place
    door: DoorFinder
    on_change: Callable[[], None]

    async def join(self, spec: WorkloadSpec, *, name: str) -> PodPlan:
        """A place for one replica, and what its proxy proves who it is with. AddressError or OSError if
        there is none.
        """
        plan = await self.place.join(spec, name=name, door=self.door)
        if not spec.meshed:
            return plan
        try:
            identity = self.around.identities.issue(
                name, service_account=spec.service_account, namespace=spec.namespace
            )
        except BaseException:
            await self.leave(plan)
            raise
        return plan.secured(identity)

    async def leave(self, plan: PodPlan) -> None:
        """Its programs have ended: nothing of it is left."""
        self.around.identities.withdraw(plan.name)
        await self.place.leave(plan)


class WorkloadRunner:
    """The replicas of one workload by number. `problem` says why one has no place; it is tried again for
    as long.
    """

    def __init__(self, spec: WorkloadSpec, *, lodging: Lodging) -> None:
        self._spec = spec
        self._lodging = lodging
        self._pods: dict[int, PodRunner] = {}
        self._wake = asyncio.Event()
        self._ending = False
        self._problems: dict[int, str] = {}
        self._backoff = Backoff(TRY_AGAIN, source=unit_random, clock=SystemClock())
        self.ended = supervise(self._converge, name=f"workload {spec.name}")

    @property
    def problem(self) -> str:
        return next(iter(self._problems.values()), "")

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
        self._problems.clear()
        self._backoff.reset()
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
        await _all(self._stop(n, drain=False) for n in list(self._pods))

    async def _converge(self) -> None:
        while True:
            self._wake.clear()
            self._backoff.begin()
            await self._step()
            if self._ending and not self._pods:
                return
            await self._pause()

    async def _pause(self) -> None:
        """Until something has changed, and not for ever while a replica has no place."""
        if not self._problems:
            self._backoff.reset()
            await self._wake.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.next_delay_s()):
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
        await _all(self._stop(number, drain=True) for number in extra)

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
        if not self._lodging.around.identities.is_current(pod.plan.name):
            return True
        return replace(pod.plan.spec, replicas=0) != wanted

    async def _start(self, number: int) -> bool:
        name = f"{self._spec.name}-{number}"
        try:
            plan = await self._lodging.join(self._spec, name=name)
        except Exception as error:  # noqa: BLE001  # the others get their places all the same
            if not isinstance(error, (AddressError, OSError)):
                report_failure(f"workload {self._spec.name}", error)
            self._refuse(number, problem=f"{name}: {error}")
            return False
        self._problems.pop(number, None)
        logger.info("pod %s starts at %s", name, plan.ip)
        runner = PodRunner(
            plan, around=self._lodging.around, on_change=lambda: self._on_change(number)
        )
        self._pods[number] = runner
        self._on_change(number)
        return True

    def _refuse(self, number: int, *, problem: str) -> None:
        if problem != self._problems.get(number):
            # Once for each reason: it is tried again and again.
            logger.warning("pod %s", problem)
        self._problems[number] = problem
        self._lodging.on_change()

    async def _stop(self, number: int, *, drain: bool) -> None:
        runner = self._pods[number]
        logger.info("pod %s stops", runner.plan.name)
        await runner.stop(drain=drain)
        del self._pods[number]
        self._lodging.source.remove(runner.replica)
        await self._lodging.leave(runner.plan)
        self._lodging.on_change()

    def _on_change(self, number: int) -> None:
        runner = self._pods.get(number)
        if runner is not None:
            self._lodging.source.put(runner.replica)
        self._wake.set()
        self._lodging.on_change()


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Each to its end, then the first failure of any: whoever tries again must not meet one that is still
    at it.
    """
    for failure in await asyncio.gather(*work, return_exceptions=True):
        if failure is not None:
            raise failure
