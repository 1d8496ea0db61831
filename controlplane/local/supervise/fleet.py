"""All workloads of a mesh: makes what runs follow the newest mesh.yaml."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial

from linkerd2_py.base.tasks import supervise
from linkerd2_py.controlplane.local.ingress.ingress import OF_PEOPLE, OF_UNMESHED, Ingress
from linkerd2_py.controlplane.local.place.place import Place
from linkerd2_py.controlplane.local.programs.of_pod import Surroundings
from linkerd2_py.controlplane.local.supervise.pod import PodRunner
from linkerd2_py.controlplane.local.supervise.workload import Lodging, WorkloadRunner
from linkerd2_py.controlplane.sources.local.mesh_spec import MeshSpec, OutboundSpec, WorkloadSpec
from linkerd2_py.controlplane.sources.local.source import LocalSource

logger = logging.getLogger(__name__)


class Fleet:
    """Every pod, and the doors. `on_change` is called when any of them changes."""

    def __init__(
        self,
        *,
        source: LocalSource,
        place: Place,
        around: Surroundings,
        on_change: Callable[[], None],
    ) -> None:
        self._source = source
        self._place = place
        self._notify = on_change
        self._changed = asyncio.Event()
        self.ingress = Ingress(OF_PEOPLE, around=around, on_change=self._on_change)
        self._unmeshed = Ingress(OF_UNMESHED, around=around, on_change=self._on_change)
        self._lodging = Lodging(
            source=source,
            around=around,
            place=place,
            door=self._unmeshed.door,
            on_change=self._on_change,
        )
        self._workloads: dict[str, WorkloadRunner] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}

    @property
    def pods(self) -> list[PodRunner]:
        return [pod for workload in self._workloads.values() for pod in workload.pods]

    @property
    def problems(self) -> list[str]:
        """One line for each pod that is not ready and has a reason, and for what never started."""
        pods = [pod for pod in self.pods if not pod.ready]
        lines = [f"pod {pod.plan.name}: {pod.problem or 'not ready'}" for pod in pods]
        return [*lines, *self.obstacles, *self.closed_doors]

    @property
    def ingresses(self) -> tuple[Ingress, ...]:
        """Of people, and of workloads that have no proxy."""
        return (self.ingress, self._unmeshed)

    @property
    def closed_doors(self) -> list[str]:
        """One line for each kind of them that has given up opening."""
        return [one.problem for one in self.ingresses if one.problem]

    @property
    def obstacles(self) -> list[str]:
        """One line for each workload whose next step cannot be done."""
        return [w.problem for w in self._workloads.values() if w.problem]

    @property
    def settled(self) -> bool:
        opened = all(one.ready or one.problem for one in self.ingresses)
        return opened and all(workload.settled for workload in self._workloads.values())

    def apply(self, mesh: MeshSpec) -> None:
        """Want this mesh from now on. AddressError if its doors cannot be opened."""
        self.ingress.update(mesh)
        if self._place.has_doors:
            self._unmeshed.open(_called_from_outside(mesh), namespace=mesh.namespace)
        services = self._place.addressed(mesh.services.values())
        self._source.describe(
            services=services,
            workloads=mesh.deployments,
            profiles=mesh.profiles,
            policies=mesh.policies,
        )
        for name, spec in mesh.workloads.items():
            self._want(name, spec=spec)
        for name in self._workloads.keys() - mesh.workloads.keys() - self._leaving.keys():
            self._leaving[name] = supervise(partial(self._leave, name), name=f"leave {name}")

    def renew(self) -> None:
        """Start again, one after the other, what trusts other anchors than those in force."""
        for workload in self._workloads.values():
            workload.renew()
        for ingress in self.ingresses:
            ingress.renew()

    async def wait_settled(self, *, limit_s: float) -> bool:
        """Wait until every pod is ready or has failed; False if that took too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not self.settled:
                    self._changed.clear()
                    await self._changed.wait()
                return True
        return False

    async def stop(self) -> None:
        """Stop everything at once."""
        for task in self._leaving.values():
            task.cancel()
        stops = [workload.stop() for workload in self._workloads.values()]
        await asyncio.gather(*stops, *(ingress.stop() for ingress in self.ingresses))

    def _want(self, name: str, *, spec: WorkloadSpec) -> None:
        leaving = self._leaving.pop(name, None)
        if leaving is not None:
            leaving.cancel()
        runner = self._workloads.get(name)
        if runner is None or runner.ended.done():
            self._workloads[name] = WorkloadRunner(spec, lodging=self._lodging)
        else:
            runner.update(spec)

    async def _leave(self, name: str) -> None:
        await self._workloads[name].end()
        del self._workloads[name]
        self._leaving.pop(name, None)

    def _on_change(self) -> None:
        self._changed.set()
        self._notify()


def _called_from_outside(mesh: MeshSpec) -> list[OutboundSpec]:
    """What programs without a proxy call."""
    outside = (workload for workload in mesh.workloads.values() if not workload.meshed)
    return [out for workload in outside for out in workload.outbound]
