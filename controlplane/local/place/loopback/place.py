"""The place of a mesh that needs no privilege: every replica at a loopback address that nobody else has."""

from __future__ import annotations

from collections.abc import Iterable

from linkerd2_py.controlplane.listen import LOOPBACK, Listen
from linkerd2_py.controlplane.local.place.loopback.addresses import AddressPool
from linkerd2_py.controlplane.local.place.loopback.plan import NETWORK, plan_pod
from linkerd2_py.controlplane.local.place.plan import DoorFinder, PodPlan
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec, WorkloadSpec


class LoopbackPlace:
    """Every pod has a loopback address; programs are told where their proxy listens for each service."""

    label: str = ""
    has_doors: bool = True
    proxy_uid: int | None = None
    proxy_api: Listen = LOOPBACK
    networks: tuple[str, ...] = (NETWORK,)

    def __init__(self) -> None:
        self._addresses = AddressPool()

    def addressed(self, services: Iterable[ServiceSpec]) -> list[ServiceSpec]:
        return list(services)

    async def join(self, spec: WorkloadSpec, *, name: str, door: DoorFinder) -> PodPlan:
        ip = self._addresses.take()
        try:
            return plan_pod(spec, name=name, ip=ip, door=door)
        except BaseException:
            self._addresses.give_back(ip)
            raise

    async def leave(self, plan: PodPlan) -> None:
        self._addresses.give_back(plan.ip)

    async def close(self) -> None:
        self._addresses.close()
