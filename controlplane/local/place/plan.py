"""What one replica gets before it starts: a plan says everything, and whoever supervises the pod carries
it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from linkerd2_py.controlplane.local.place.identity import PodIdentity
from linkerd2_py.controlplane.local.place.placement import AS_WE_DO, Placement
from linkerd2_py.controlplane.mesh.inbound import NOTHING_SAID, InboundSettings, NamedPort, Probe
from linkerd2_py.controlplane.sources.local.mesh_spec import (
    OutboundSpec,
    WorkloadSpec,
    port_name,
)

INBOUND_PORT: Final = 4143
OUTBOUND_PORT: Final = 4140
ADMIN_PORT: Final = 4191
# What supervisor, control plane and command line ask of every proxy, none of which proves who it is.
_ASKED_OF_ADMIN: Final = ("/endpoints.json", "/live", "/metrics", "/ready")
DoorFinder = Callable[[OutboundSpec], str]
"""Where a program without a proxy finds a service: `host:port`."""


@dataclass(frozen=True, slots=True)
class StaticPort:
    """A listener of the proxy that leads to one logical target."""

    listen: str
    authority: str


@dataclass(frozen=True, slots=True)
class InitStep:
    """A program that must end well before the proxy and the workload start."""

    name: str
    argv: tuple[str, ...]
    placement: Placement = AS_WE_DO


@dataclass(frozen=True, slots=True)
class PodPlan:
    """One replica: `serve` maps target ports to where the program listens, `ports` to where
    peers connect (the same where there is no proxy, or one that peers do not see). `settings` are
    the proxy's own, by their names without the prefix; none where there is no proxy. The
    placements say where and as whom proxy and program run. `skipped_ports` are those of an
    intercepted pod that its proxy does not get. `inbound_port` is where its proxy's own inbound listener
    is reached, `tap_port` where it tells what passes; 0 where there is no proxy. `identity` is the name that
    its proxy proves.
    """

    spec: WorkloadSpec
    name: str
    ip: str
    serve: Mapping[int, int]
    ports: Mapping[int, int]
    calls: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    admin_port: int = 0
    inbound_port: int = 0
    tap_port: int = 0
    identity: str = ""
    ip6: str = ""
    listen_host: str = ""
    skipped_ports: frozenset[int] = frozenset()
    inits: tuple[InitStep, ...] = ()
    proxy_placement: Placement = AS_WE_DO
    app_placement: Placement = AS_WE_DO

    def secured(self, identity: PodIdentity) -> PodPlan:
        """The same replica, whose proxy is told who it is and how to prove it."""
        return replace(
            self,
            identity=identity.name,
            settings={**self.settings, **identity.settings},
            proxy_placement=replace(self.proxy_placement, reach=identity.folder),
        )

    @property
    def number(self) -> int:
        """Which of its workload's replicas it is."""
        return int(self.name.rpartition("-")[2])

    @property
    def zone(self) -> str:
        """Where it is; empty where nobody says it."""
        return self.spec.zone(self.number)

    @property
    def intercepted(self) -> bool:
        """Whether all its traffic passes its proxy by itself."""
        return self.spec.meshed and bool(self.netns)

    @property
    def netns(self) -> str:
        """The network namespace it has to itself; empty on loopback addresses."""
        return self.app_placement.netns

    @property
    def inbound(self) -> InboundSettings:
        """Whom its proxy lets in, as the proxy's own settings say it; for proxies that ask."""
        if not self.spec.meshed:
            return NOTHING_SAID
        opaque = (port for port, is_opaque in self.spec.target_ports.items() if is_opaque)
        return InboundSettings(
            names=tuple(
                NamedPort(port_name(target), number)
                for target in self.spec.target_ports
                for number in self.numbers([target])
            ),
            policy=self.spec.default_inbound_policy,
            opaque=frozenset(self.numbers(opaque)),
            identified=frozenset(self.numbers(self.spec.require_identity_ports)),
            probes=tuple(Probe(self.admin_port, path) for path in _ASKED_OF_ADMIN),
        )

    def numbers(self, targets: Iterable[int]) -> Iterator[int]:
        """What target ports are called: a port on a loopback address has two numbers, the proxy's and the
        program's, and no second meaning.
        """
        for target in targets:
            yield self.ports[target]
            if self.serve[target] != self.ports[target]:
                yield self.serve[target]

    @property
    def admin_addr(self) -> str | None:
        return f"{self.ip}:{self.admin_port}" if self.spec.meshed else None

    @property
    def tap_addr(self) -> str:
        """Empty where nobody can tap it: without an identity there is no proof of who asks."""
        return f"{self.ip}:{self.tap_port}" if self.identity and self.tap_port else ""

    @property
    def probe_port(self) -> int | None:
        """Where the program's own readiness is asked for; None if it serves nothing."""
        wanted = self.spec.ready.port if self.spec.ready else next(iter(self.serve), None)
        return None if wanted is None else self.serve.get(wanted, wanted)


def policy_settings(spec: WorkloadSpec, *, guarded: Iterable[int], networks: str) -> dict[str, str]:
    """Whom a workload's proxy lets in. `guarded`: its ports that require an identity; `networks`: where
    the mesh is.
    """
    return {
        "POLICY_CLUSTER_NETWORKS": networks,
        "INBOUND_DEFAULT_POLICY": spec.default_inbound_policy,
        "INBOUND_PORTS_REQUIRE_IDENTITY": ",".join(map(str, guarded)),
    }
