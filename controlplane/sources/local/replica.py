"""One replica as the supervisor knows it: where it is, which ports lead to it, and how it is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from linkerd2_py.controlplane.mesh.inbound import NOTHING_SAID, InboundSettings
from linkerd2_py.controlplane.mesh.objects import (
    DEPLOYMENT,
    NO_PORTS,
    WHOLE,
    Endpoint,
    Key,
    Owner,
    Pod,
    PodStatus,
    PortSet,
    no_relays,
)
from linkerd2_py.controlplane.sources.local.mesh_spec import app_labels


@dataclass(frozen=True, slots=True)
class Replica:
    """A pod of a workload, with what only a mesh on this machine has.

    `ports` maps a target port to the port that peers connect to at `ip` (the proxy's, where meshed). `ip6` is
    its second address, where it has one. The proxy of an `intercepted` replica gets what is sent to any port
    but `skipped_ports`; otherwise it only has `ports`. Everything else is as a `Pod` has it.
    """

    namespace: str
    name: str
    workload: str
    ip: str
    ports: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    ready: bool = False
    meshed: bool = True
    admin_addr: str | None = None
    status: PodStatus = "Pending"
    restarts: int = 0
    started: float = 0.0
    ip6: str = ""
    intercepted: bool = False
    skipped_ports: frozenset[int] = frozenset()
    service_account: str = "default"
    identity: str = ""
    inbound_port: int = 0
    problem: str = ""
    last_exit: str = ""
    last_exit_at: float = 0.0
    inbound: InboundSettings = NOTHING_SAID
    tap_addr: str = ""
    weight: int = WHOLE
    zone: str = ""

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def workload_key(self) -> Key:
        """Namespace and name of the workload that it is of."""
        return Key(self.namespace, self.workload)

    @property
    def ips(self) -> tuple[str, ...]:
        """All its addresses, its own first."""
        return (self.ip, self.ip6) if self.ip6 else (self.ip,)

    def pod(self, *, opaque: Iterable[int] = ()) -> Pod:
        """What the mesh knows it as; the bytes of some target ports are not parsed."""
        return Pod(
            self.namespace,
            self.name,
            owner=Owner(DEPLOYMENT, self.workload),
            ips=self.ips,
            labels=app_labels(self.workload),
            ready=self.ready,
            status=self.status,
            service_account=self.service_account,
            meshed=self.meshed,
            proxied=self._proxied(),
            identity=self.identity,
            inbound_port=self.inbound_port,
            admin_addr=self.admin_addr,
            tap_addr=self.tap_addr,
            restarts=self.restarts,
            started=self.started,
            problem=self.problem,
            last_exit=self.last_exit,
            last_exit_at=self.last_exit_at,
            inbound=self.inbound,
            weight=self.weight,
            zone=self.zone,
            opaque_ports=frozenset(self.ports[port] for port in opaque if port in self.ports),
            relays={own: seen for own, seen in self.ports.items() if own != seen} or no_relays(),
        )

    def endpoints(self, target_port: int | str) -> Iterator[Endpoint]:
        """Where it serves one of its ports, at each of its addresses; nowhere if it does not."""
        port = self.ports.get(target_port) if isinstance(target_port, int) else None
        if port is None:
            return
        ready = self.ready and self.status == "Running"
        for ip in self.ips:
            yield Endpoint(ip, port, ready=ready, pod=self.key, hostname=self.name, zone=self.zone)

    def _proxied(self) -> PortSet:
        if not self.meshed:
            return NO_PORTS
        if self.intercepted:
            return PortSet(self.skipped_ports, others=True)
        return PortSet(frozenset(self.ports.values()))
