"""The objects of the mesh, as immutable values: what a source makes, and what everybody else reads from the
store.

A new kind is a dataclass here that has a `key` and says in its fields only what some answer needs, and a line
in `Mesh` with the indexes that its readers ask by; a source then lists it, and destination or policy take it
up in their topics.
"""

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

PodStatus = Literal["Running", "Pending", "Failed", "Terminating"]
Family = Literal[4, 6]
"""A version of IP."""
Labels = Mapping[str, str]
_NO_LABELS: Final[Labels] = MappingProxyType({})
DEPLOYMENT: Final = "deployment"


def no_labels() -> Labels:
    """Those of what has none, the same for all."""
    return _NO_LABELS


class Key(NamedTuple):
    """What an object is called: unique among the objects of its kind."""

    namespace: str
    name: str


class Owner(NamedTuple):
    """What keeps a pod in being: its kind in lower case, as metrics and command lines name it
    (`statefulset`), and its name.
    """

    kind: str
    name: str


class WorkloadKey(NamedTuple):
    """What a workload is called: a Deployment and a Job of one namespace may share a name."""

    kind: str
    namespace: str
    name: str


class EndpointsKey(NamedTuple):
    """A port of a service, by the number that clients know."""

    namespace: str
    service: str
    port: int


class MeshObject:
    """One thing of the mesh."""

    __slots__ = ()

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """What it is called: unique among the objects of its kind."""


@dataclass(frozen=True, slots=True)
class Namespace(MeshObject):
    """A space of names, with what it says for everything in it."""

    name: str
    labels: Labels = field(default_factory=no_labels)
    annotations: Labels = field(default_factory=no_labels)

    @property
    def key(self) -> str:
        """Its name."""
        return self.name


@dataclass(frozen=True, slots=True)
class Workload(MeshObject):
    """The owner of `replicas` pods: a Deployment, StatefulSet, Job …; its `kind` is as an `Owner` has it."""

    kind: str
    namespace: str
    name: str
    replicas: int
    meshed: bool = True
    labels: Labels = field(default_factory=no_labels)

    @property
    def key(self) -> WorkloadKey:
        """Kind, namespace and name."""
        return WorkloadKey(self.kind, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class PortSpec:
    """One port of a service: clients use `port`, pods serve it on `target_port`, a number or the name that
    they give it.

    `opaque` means that its bytes are not parsed (server-first protocols, or unknown ones). `app_protocol` is
    what is spoken there, as Kubernetes writes it; empty where nobody says it.
    """

    name: str
    port: int
    target_port: int | str
    opaque: bool = False
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class Service(MeshObject):
    """A name that clients call, backed by the pods of its namespace that have the labels of its `selector`.

    Without a selector it is backed by what its Endpoints say alone. `ips` are its virtual addresses (one per
    IP family, or none) as `ipaddress` writes them; a `headless` service never has any and its name stands for
    its pods' own. `annotations` are those of retries, timeouts and balancers.
    """

    namespace: str
    name: str
    ports: tuple[PortSpec, ...]
    selector: Labels = field(default_factory=no_labels)
    ips: tuple[str, ...] = ()
    headless: bool = False
    labels: Labels = field(default_factory=no_labels)
    annotations: Labels = field(default_factory=no_labels)

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    def port(self, number: int) -> PortSpec | None:
        """The port that clients know by `number`, if it is declared."""
        return next((spec for spec in self.ports if spec.port == number), None)

    def selects(self, pod: "Pod") -> bool:
        """Whether `pod` is one of those behind it."""
        return (
            bool(self.selector)
            and pod.namespace == self.namespace
            and self.selector.items() <= pod.labels.items()
        )


@dataclass(frozen=True, slots=True)
class PortSet:
    """Some ports of a pod: those in `listed` or, with `others`, all but those."""

    listed: frozenset[int] = frozenset()
    others: bool = False

    def __contains__(self, port: int) -> bool:
        return (port in self.listed) != self.others


NO_PORTS: Final = PortSet()


@dataclass(frozen=True, slots=True)
class Pod(MeshObject):
    """One replica of a workload, or a pod that nobody owns.

    `ips` are all its addresses, the first of them its own in every listing. `started` is in seconds since the
    epoch. A `meshed` pod has a proxy. What peers must know of that: `proxied` are the ports that it takes
    instead of the program; `identity` is the name in its certificate, empty where it has none; `inbound_port`
    is where its own inbound listener is reached, 0 where it is not; `admin_addr` is `host:port` of its admin
    server. `problem` says why the pod is not ready, where that is known; `last_exit` why one of its programs
    was last started again, at `last_exit_at`, in seconds since the epoch.
    """

    namespace: str
    name: str
    owner: Owner | None = None
    ips: tuple[str, ...] = ()
    labels: Labels = field(default_factory=no_labels)
    ready: bool = False
    status: PodStatus = "Pending"
    node: str = ""
    zone: str = ""
    # What Kubernetes calls the account of pods that name none.
    service_account: str = "default"
    meshed: bool = False
    proxied: PortSet = NO_PORTS
    identity: str = ""
    inbound_port: int = 0
    admin_addr: str | None = None
    restarts: int = 0
    started: float = 0.0
    problem: str = ""
    last_exit: str = ""
    last_exit_at: float = 0.0

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def ip(self) -> str:
        """Its own address; empty while it has none."""
        return next(iter(self.ips), "")

    @property
    def ip6(self) -> str:
        """Its IPv6 address; empty where it has none."""
        return next((ip for ip in self.ips if ":" in ip), "")

    @property
    def owner_key(self) -> WorkloadKey | None:
        """The workload that it is a replica of."""
        return self.owner and WorkloadKey(self.owner.kind, self.namespace, self.owner.name)

    @property
    def serving(self) -> bool:
        """Whether it may receive new traffic."""
        return self.ready and self.status == "Running"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one port of a service is served: the very address that peers connect to.

    `pod` is who serves there, where it is a pod; `hostname` names this endpoint below the service's own name.
    """

    ip: str
    port: int
    ready: bool = True
    pod: Key | None = None
    hostname: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Endpoints(MeshObject):
    """All that serve one port of a service, ready or not, in every family of addresses.

    There may be Endpoints of a port that the service does not declare: a source says so where pods serve it
    under that number.
    """

    namespace: str
    service: str
    port: int
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def key(self) -> EndpointsKey:
        """Namespace, service and port."""
        return EndpointsKey(self.namespace, self.service, self.port)

    @property
    def service_key(self) -> Key:
        """Namespace and name of the service."""
        return Key(self.namespace, self.service)

    @property
    def pods(self) -> frozenset[Key]:
        """Everybody who serves."""
        return frozenset(one.pod for one in self.endpoints if one.pod)


def of_family(ips: Iterable[str], *, family: Family) -> tuple[str, ...]:
    """Those of the addresses `ips` that are of one family."""
    return tuple(ip for ip in ips if ip_address(ip).version == family)
