"""Where pods live and how programs find each other: what the two ways of running a local mesh differ in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from linkerd2_py.controlplane.local.place.addresses import AddressPool
from linkerd2_py.controlplane.local.place.plan import Door, PodPlan, plan_pod
from linkerd2_py.controlplane.mesh.objects import Service
from linkerd2_py.controlplane.run.local import Listen
from linkerd2_py.controlplane.sources.local.mesh_spec import WorkloadSpec


class Network(Protocol):
    """From the start of a mesh to its end."""

    @property
    def label(self) -> str:
        """What the names of its namespaces begin with; empty where there are none."""

    @property
    def has_doors(self) -> bool:
        """Whether programs without a proxy are told of a local port for each service, as nothing is found by its name."""

    @property
    def proxy_uid(self) -> int | None:
        """The user that proxies run as; None: the one who started the mesh."""

    @property
    def proxy_api(self) -> Listen:
        """Where every pod reaches the control plane."""

    def addressed(self, services: Iterable[Service]) -> list[Service]:
        """The services with what addresses they have here."""

    async def join(self, spec: WorkloadSpec, *, name: str, door: Door) -> PodPlan:
        """A place for one replica. AddressError if there is none."""

    async def leave(self, plan: PodPlan) -> None:
        """Its place is free again; its programs have ended."""

    async def close(self) -> None:
        """Leave nothing behind. May be repeated."""


class LoopbackNetwork:
    """Every pod has a loopback address; programs are told where their proxy listens for each service."""

    label: str = ""
    has_doors: bool = True
    proxy_uid: int | None = None
    proxy_api: Listen = Listen()

    def __init__(self) -> None:
        self._addresses = AddressPool()

    def addressed(self, services: Iterable[Service]) -> list[Service]:
        return list(services)

    async def join(self, spec: WorkloadSpec, *, name: str, door: Door) -> PodPlan:
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
