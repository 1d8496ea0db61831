"""The objects of the mesh: services, pods and deployments, as immutable values.

A source (the supervisor of a local mesh) makes them; destination and public-api read them through `Registry`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType
from typing import Literal, NamedTuple

PodStatus = Literal["Running", "Pending", "Failed", "Terminating"]
Family = Literal[4, 6]
"""A version of IP."""


class Key(NamedTuple):
    """What an object is called: unique among the objects of its kind."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class PortSpec:
    """One port of a service: clients use `port`, pods serve it on `target_port`.

    `opaque` means that its bytes are not parsed (server-first protocols, or unknown ones).
    """

    name: str
    port: int
    target_port: int
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A name that clients call, backed by the pods of one workload in the same namespace.

    `ips` are its virtual addresses (one per IP family, or none) as `ipaddress` writes them; a `headless` service never
    has any and its name stands for its pods' own.
    """

    namespace: str
    name: str
    workload: str
    ports: tuple[PortSpec, ...]
    ips: tuple[str, ...] = ()
    headless: bool = False

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    def port(self, number: int) -> PortSpec | None:
        """The port that clients know by `number`, if it is declared."""
        return next((spec for spec in self.ports if spec.port == number), None)


@dataclass(frozen=True, slots=True)
class Pod:
    """One replica of a workload.

    `ports` maps a target port to the port that peers connect to at `ip` (the proxy's, where meshed). `ip6` is its second
    address, where it has one. `admin_addr` is `host:port` of its proxy's admin server; `started` is in seconds since the
    epoch. The proxy of an `intercepted` pod gets what is sent to any port but `skipped_ports`; otherwise it only has `ports`.
    `identity` is the name in its proxy's certificate, empty where it has none; `inbound_port` is where peers reach that proxy's
    own inbound listener at `ip`, 0 where there is no proxy. `problem` says why it is not ready, where that is known; `last_exit`
    why one of its programs was last started again, at `last_exit_at`, in seconds since the epoch.
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
    # What Kubernetes calls the account of pods that name none.
    service_account: str = "default"
    identity: str = ""
    inbound_port: int = 0
    problem: str = ""
    last_exit: str = ""
    last_exit_at: float = 0.0

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def ips(self) -> tuple[str, ...]:
        """All its addresses, the IPv4 one first."""
        return (self.ip, self.ip6) if self.ip6 else (self.ip,)

    @property
    def workload_key(self) -> Key:
        """Namespace and name of the deployment that owns it."""
        return Key(self.namespace, self.workload)

    @property
    def serving(self) -> bool:
        """Whether it may receive new traffic."""
        return self.ready and self.status == "Running"

    def proxied(self, port: int) -> bool:
        """Whether its proxy gets what peers send to `port`."""
        if self.intercepted:
            return self.meshed and port not in self.skipped_ports
        return self.meshed and port in self.ports.values()


@dataclass(frozen=True, slots=True)
class Deployment:
    """A workload: the owner of `replicas` pods."""

    namespace: str
    name: str
    replicas: int
    meshed: bool = True

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


def of_family(ips: Iterable[str], *, family: Family) -> tuple[str, ...]:
    """Those of the addresses `ips` that are of one family."""
    return tuple(ip for ip in ips if ip_address(ip).version == family)


MeshObject = Service | Pod | Deployment


@dataclass(frozen=True, slots=True)
class Change:
    """One object that came (`before` is None), went (`after` is None) or became different."""

    before: MeshObject | None
    after: MeshObject | None

    @property
    def subject(self) -> MeshObject:
        """The object the change is about, in its newest known form."""
        subject = self.after or self.before
        if subject is None:
            raise ValueError("a change has at least one side")
        return subject


@dataclass(frozen=True, slots=True)
class Mesh:
    """All objects at one moment."""

    services: Mapping[Key, Service]
    pods: Mapping[Key, Pod]
    deployments: Mapping[Key, Deployment]

    def pods_of(self, workload: Key) -> Iterable[Pod]:
        """The pods that the deployment `workload` owns."""
        return (pod for pod in self.pods.values() if pod.workload_key == workload)
