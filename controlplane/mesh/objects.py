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

from linkerd2_py.base.names import CONTROL_PLANE_NAMESPACE
from linkerd2_py.controlplane.mesh.inbound import NOTHING_SAID, InboundSettings

PodStatus = Literal["Running", "Pending", "Failed", "Terminating"]
Family = Literal[4, 6]
"""A version of IP."""
Labels = Mapping[str, str]
_NO_LABELS: Final[Labels] = MappingProxyType({})
DEPLOYMENT: Final = "deployment"
WHOLE: Final = 10_000
"""The weight of an endpoint of which none is said."""
DEFAULT_OPAQUE_PORTS: Final = frozenset({25, 587, 3306, 4444, 5432, 6379, 9300, 11211})
"""Linkerd's, where nobody says which are: servers of these protocols speak first."""


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
    what is spoken there, as Kubernetes writes it; empty where nobody says it. `protocol` is what carries it.
    """

    name: str
    port: int
    target_port: int | str
    opaque: bool = False
    app_protocol: str = ""
    protocol: str = "TCP"


class Mirrored(NamedTuple):
    """Which service of which cluster it is; an empty `service` says that nobody knows."""

    cluster: str
    service: str


class Federated(NamedTuple):
    """The service of this cluster that is joined; empty where there is none."""

    member: str


@dataclass(frozen=True, slots=True)
class Service(MeshObject):
    """A name that clients call, backed by the pods of its namespace that have the labels of its `selector`.

    Without a selector it is backed by what its Endpoints say alone. `ips` are its virtual addresses (one per
    IP family, or none) as `ipaddress` writes them; a `headless` service never has any and its name stands for
    its pods' own. An `alias` is only another name for something outside; a `local` service is served on each
    node by the pods of that node alone. `annotations` are those of retries, timeouts and balancers.

    A service of several clusters is `mirrored` from one of them, or `federated`: then it joins services of
    other clusters and, where that is named, one of its own namespace.

    What is written for it needs more: its `uid`, empty while it is being deleted; the `families` of
    addresses that it is served in, none where it does not say; its `other_ports`, which no proxy knows, for
    they are not TCP's.
    """

    namespace: str
    name: str
    ports: tuple[PortSpec, ...]
    selector: Labels = field(default_factory=no_labels)
    ips: tuple[str, ...] = ()
    headless: bool = False
    labels: Labels = field(default_factory=no_labels)
    annotations: Labels = field(default_factory=no_labels)
    alias: bool = False
    local: bool = False
    mirrored: "Mirrored | None" = None
    federated: "Federated | None" = None
    uid: str = ""
    families: tuple[Family, ...] = ()
    other_ports: tuple[PortSpec, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    def port(self, number: int) -> PortSpec | None:
        """The port that clients know by `number`, if it is declared."""
        return next((spec for spec in self.ports if spec.port == number), None)

    def selects(self, workload: "Pod | ExternalWorkload") -> bool:
        """Whether `workload` is one of those behind it."""
        return (
            bool(self.selector)
            and workload.namespace == self.namespace
            and self.selector.items() <= workload.labels.items()
        )


@dataclass(frozen=True, slots=True)
class PortSet:
    """Some ports of a pod: those in `listed` or, with `others`, all but those."""

    listed: frozenset[int] = frozenset()
    others: bool = False

    def __contains__(self, port: int) -> bool:
        return (port in self.listed) != self.others


NO_PORTS: Final = PortSet()


class ContainerPort(NamedTuple):
    """A port that a program of a pod listens on; with `host`, also that port of its node."""

    number: int
    name: str = ""
    host: int = 0
    protocol: str = "TCP"


def no_relays() -> Mapping[int, int]:
    """Those of a pod that is reached at its own ports, the same for all."""
    return _NO_RELAYS


_NO_RELAYS: Final[Mapping[int, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Pod(MeshObject):
    """One replica of a workload, or a pod that nobody owns.

    `ips` are all its addresses, the first of them its own in every listing; on the `host_network` they are
    its node's, as `host_ips` are. `started` is in seconds since the epoch. `ports` are those that its
    programs declare, `opaque_ports` those whose bytes are not parsed; `relays` are those of its ports that
    peers reach at another number.

    A `meshed` pod has a proxy, that of the control plane in the namespace `control_plane`. What peers
    must know of it: `proxied` are the ports that it takes instead of the program; `identity` is the name in
    its certificate, empty where it has none; `inbound_port` is where its own inbound listener is reached, 0
    where it is not; `admin_ports` are those that it answers itself, `admin_addr` is `host:port` of its admin
    server, `tap_addr` that of where it tells the control plane what passes, empty where it does not.
    Its share of the load is in proportion to its `weight`.
    `problem` says why the pod is not ready, where that is known; `last_exit` why one of its programs was
    last started again, at `last_exit_at`, in seconds since the epoch.
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
    tap_addr: str = ""
    restarts: int = 0
    started: float = 0.0
    problem: str = ""
    last_exit: str = ""
    last_exit_at: float = 0.0
    control_plane: str = CONTROL_PLANE_NAMESPACE
    opaque_ports: frozenset[int] = frozenset()
    admin_ports: frozenset[int] = frozenset()
    ports: tuple[ContainerPort, ...] = ()
    relays: Mapping[int, int] = field(default_factory=no_relays)
    host_network: bool = False
    host_ips: tuple[str, ...] = ()
    inbound: InboundSettings = NOTHING_SAID
    weight: int = WHOLE

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def own_ips(self) -> tuple[str, ...]:
        """The addresses that no other pod has."""
        return () if self.host_network else self.ips

    @property
    def host_addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it is reached on its node."""
        hosts = [port.host for port in self.ports if port.host]
        return tuple((ip, host) for ip in self.host_ips for host in hosts)

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
class ExternalWorkload(MeshObject):
    """A program outside the cluster that has a proxy of this mesh.

    `identity` is a URI; its proxy is asked for by `server_name` and listens at `inbound_port`. It is reached
    at each of its `ips` on its `ports`; somebody who looks after it says whether it is `ready`. Its share of
    the load is in proportion to its `weight`.
    """

    namespace: str
    name: str
    ips: tuple[str, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    identity: str = ""
    server_name: str = ""
    inbound_port: int = 0
    opaque_ports: frozenset[int] = frozenset()
    labels: Labels = field(default_factory=no_labels)
    owner: Owner | None = None
    inbound: InboundSettings = NOTHING_SAID
    ready: bool = False
    uid: str = ""
    weight: int = WHOLE

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it is reached."""
        return tuple((ip, port.number) for ip in self.ips for port in self.ports)


@dataclass(frozen=True, slots=True)
class Node(MeshObject):
    """A machine of the cluster, and where it stands."""

    name: str
    zone: str

    @property
    def key(self) -> str:
        """Its name."""
        return self.name


class Gateway(NamedTuple):
    """A way into another cluster: who answers there, and the full name of the service behind it."""

    identity: str
    service: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one port of a service is served: the very address that peers connect to.

    `pod` or `external` is who serves there, where it is a pod or an external workload; `hostname` names this
    endpoint below the service's own name. It is meant for clients in the zones `for_zones`; none means all.
    """

    ip: str
    port: int
    ready: bool = True
    pod: Key | None = None
    hostname: str = ""
    zone: str = ""
    external: Key | None = None
    for_zones: tuple[str, ...] = ()
    gateway: Gateway | None = None


@dataclass(frozen=True, slots=True)
class Endpoints(MeshObject):
    """All that serve one port of a service, ready or not, in every family of addresses.

    There may be Endpoints of a port that the service does not declare: a source says so where pods serve it
    under that number. `labels` are those that metrics of all of them have.
    """

    namespace: str
    service: str
    port: int
    endpoints: tuple[Endpoint, ...] = ()
    labels: Labels = field(default_factory=no_labels)

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

    @property
    def externals(self) -> frozenset[Key]:
        """Every external workload that serves."""
        return frozenset(one.external for one in self.endpoints if one.external)


def of_family(ips: Iterable[str], *, family: Family) -> tuple[str, ...]:
    """Those of the addresses `ips` that are of one family."""
    return tuple(ip for ip in ips if ip_address(ip).version == family)
