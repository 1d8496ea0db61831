"""The mesh's front doors: a proxy without a program, with one local port for every service.

People and load tools enter by the ingress, which has an identity of its own. Workloads that have no proxy
have doors of theirs, whose proxies have no identity: whom such a workload calls sees it as what it is, a
client that proves nothing. A service that is added later gets a further proxy, so that connections
through the first are not dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.local.ingress.door_proxy import SERVICE_ACCOUNT, DoorProxy
from linkerd2_py.controlplane.local.place.loopback.addresses import AddressPool, PortPicker
from linkerd2_py.controlplane.local.place.loopback.plan import static_settings
from linkerd2_py.controlplane.local.place.plan import (
    ADMIN_PORT,
    INBOUND_PORT,
    PodPlan,
    StaticPort,
)
from linkerd2_py.controlplane.local.programs.of_pod import Surroundings
from linkerd2_py.controlplane.sources.local.mesh_spec import (
    MeshSpec,
    OutboundSpec,
    ServiceSpec,
    WorkloadSpec,
)

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class DoorKind:
    """What its proxies are called, where their ports begin, and whether they prove who they are."""

    name: str
    first_port: int
    secured: bool


OF_PEOPLE: Final = DoorKind("ingress", 7080, secured=True)
OF_UNMESHED: Final = DoorKind("unmeshed", 7580, secured=False)


class Ingress:
    """All doors of a kind, by logical target. `problem` says why one does not open."""

    def __init__(
        self, kind: DoorKind, *, around: Surroundings, on_change: Callable[[], None]
    ) -> None:
        self._kind = kind
        self._around = around
        self._addresses = AddressPool()
        self._on_change = on_change
        self._ports = PortPicker(HOST, shared=True)
        self._doors: dict[str, str] = {}
        self._links: dict[str, str] = {}
        self._proxies: list[DoorProxy] = []
        self._renewing: asyncio.Task[None] | None = None

    @property
    def links(self) -> dict[str, str]:
        """`web-svc` -> `http://127.0.0.1:7080/`; opaque services have a `tcp://` address."""
        return dict(self._links)

    @property
    def ready(self) -> bool:
        return all(proxy.ready for proxy in self._proxies)

    @property
    def problem(self) -> str:
        """Why a door has given up opening, or an empty text."""
        stuck = [p.container.problem for p in self._proxies if p.container.crash_looping]
        return f"{self._kind.name}: proxy {stuck[0]}" if stuck else ""

    @property
    def restarts(self) -> int:
        """How often its proxies were started again."""
        return sum(proxy.container.restarts for proxy in self._proxies)

    @property
    def last_exit(self) -> str:
        """Why the last of them was, or an empty text."""
        containers = [proxy.container for proxy in self._proxies]
        last = max(containers, key=lambda one: one.last_exit_at, default=None)
        return last.last_exit if last else ""

    def door(self, out: OutboundSpec) -> str:
        """`host:port` that leads to a service port, which has been opened."""
        return self._doors[out.authority]

    def update(self, mesh: MeshSpec) -> None:
        """Open a door for every service port that has none. AddressError if ports run out."""
        if not needs_doors(mesh):
            return
        self._links.clear()
        fresh: list[StaticPort] = []
        for service in mesh.services.values():
            for number, target in enumerate(_targets(service)):
                if target.authority not in self._doors:
                    fresh.append(self._open(target))
                door = self._doors[target.authority]
                label = service.name if number == 0 else f"{service.name}:{target.port}"
                scheme, end = ("tcp", "") if service.ports[number].opaque else ("http", "/")
                self._links[label] = f"{scheme}://{door}{end}"
        if fresh:
            self._start(tuple(fresh), namespace=mesh.namespace)

    def open(self, targets: Iterable[OutboundSpec], *, namespace: str) -> None:
        """A door for each of these that has none. AddressError if ports run out."""
        wanted = {target.authority: target for target in targets}
        fresh = [self._open(wanted[name]) for name in wanted if name not in self._doors]
        if fresh:
            self._start(tuple(fresh), namespace=namespace)

    def renew(self) -> None:
        """Start proxies again that trust other anchors than those in force; their doors are closed
        meanwhile.
        """
        if self._renewing is None or self._renewing.done():
            self._renewing = supervise(self._renew, name=f"renew-{self._kind.name}")

    async def stop(self) -> None:
        if self._renewing is not None:
            await cancel_all([self._renewing])
        await asyncio.gather(*(proxy.stop() for proxy in self._proxies))
        self._ports.close()
        self._addresses.close()

    async def _renew(self) -> None:
        while stale := [n for n, proxy in enumerate(self._proxies) if not proxy.is_current]:
            old = self._proxies[stale[0]]
            await old.stop()
            self._proxies[stale[0]] = self._proxy(old.plan)

    def _open(self, target: OutboundSpec) -> StaticPort:
        listen = f"{HOST}:{self._ports.pick(self._kind.first_port + len(self._doors))}"
        self._doors[target.authority] = listen
        return StaticPort(listen, target.authority)

    def _start(self, statics: tuple[StaticPort, ...], *, namespace: str) -> None:
        ip = self._addresses.take()
        pick = PortPicker(ip).pick
        admin_port, inbound_port = pick(ADMIN_PORT), pick(INBOUND_PORT)
        plan = PodPlan(
            spec=WorkloadSpec(
                namespace=namespace,
                name=self._kind.name,
                service_account=SERVICE_ACCOUNT,
                command=(),
            ),
            name=f"{self._kind.name}-{len(self._proxies)}",
            ip=ip,
            serve={},
            ports={},
            calls={},
            settings=static_settings(
                ip, pick=pick, admin_port=admin_port, inbound_port=inbound_port, statics=statics
            ),
            admin_port=admin_port,
        )
        self._proxies.append(self._proxy(plan))

    def _proxy(self, plan: PodPlan) -> DoorProxy:
        secured = self._kind.secured
        return DoorProxy(plan, around=self._around, on_change=self._on_change, secured=secured)


def needs_doors(mesh: MeshSpec) -> bool:
    """Whether anything would come through: a mesh with no proxy at all is left alone."""
    if not mesh.services:
        return False
    return any(workload.meshed or workload.outbound for workload in mesh.workloads.values())


def _targets(service: ServiceSpec) -> list[OutboundSpec]:
    return [OutboundSpec(service.namespace, service.name, spec.port) for spec in service.ports]
