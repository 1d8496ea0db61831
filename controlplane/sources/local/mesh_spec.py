"""What a mesh.yaml says, as values: services, and workloads with what it takes to run them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from linkerd2_py.base.names import LABEL_APP, service_authority
from linkerd2_py.controlplane.mesh.objects import (
    DEPLOYMENT,
    WHOLE,
    Key,
    Labels,
    MeshObject,
    PortSpec,
    Workload,
    no_labels,
)
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A name that leads to the replicas of one workload; `ips` are its virtual addresses, which a network
    gives it.
    """

    namespace: str
    name: str
    workload: str
    ports: tuple[PortSpec, ...]
    ips: tuple[str, ...] = ()
    headless: bool = False
    # What holds for its requests, as the annotations of a service say it in a cluster.
    annotations: Labels = field(default_factory=no_labels)

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class ReadyCheck:
    """How to learn that a replica serves: it accepts on `port`, or answers GET `path` there with 2xx."""

    kind: Literal["tcp", "http"]
    port: int
    path: str = "/"


@dataclass(frozen=True, slots=True)
class OutboundSpec:
    """A service that a workload calls, by the port that clients know."""

    namespace: str
    service: str
    port: int

    @property
    def authority(self) -> str:
        """The logical name with port, e.g. `web-svc.default.svc.cluster.local:80`."""
        return service_authority(self.service, namespace=self.namespace, port=self.port)

    @property
    def variable(self) -> str:
        """The environment variable that tells the workload where to connect, e.g. `WEB_SVC_ADDR`."""
        return f"{self.service.upper().replace('-', '_')}_ADDR"


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """One deployment: the command of its replicas and their surroundings."""

    namespace: str
    name: str
    service_account: str
    command: tuple[str, ...]
    replicas: int = 1
    meshed: bool = True
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    outbound: tuple[OutboundSpec, ...] = ()
    ready: ReadyCheck | None = None
    # Ports that some service leads to, with whether their bytes are opaque.
    target_ports: Mapping[int, bool] = field(default_factory=lambda: MappingProxyType({}))
    # Whom its proxies let in; empty: what proxies do when nobody tells them.
    default_inbound_policy: str = ""
    # Those of its target ports that only peers with an identity of the mesh reach.
    require_identity_ports: tuple[int, ...] = ()
    # Of its replicas in turn: what their shares of the load are in proportion to, in ten thousandths, and the
    # zones that they are in; none: all alike, and in no zone.
    weights: tuple[int, ...] = ()
    zones: tuple[str, ...] = ()

    def weight(self, replica: int) -> int:
        """Of the replica of that number."""
        return self.weights[replica % len(self.weights)] if self.weights else WHOLE

    def zone(self, replica: int) -> str:
        """Where it is; empty where nobody says it."""
        return self.zones[replica % len(self.zones)] if self.zones else ""

    @property
    def deployment(self) -> Workload:
        """What the mesh knows it as."""
        labels = app_labels(self.name)
        return Workload(
            DEPLOYMENT, self.namespace, self.name, self.replicas, self.meshed, labels=labels
        )


@dataclass(frozen=True, slots=True)
class MeshSpec:
    """A whole valid mesh.yaml."""

    namespace: str
    services: Mapping[str, ServiceSpec]
    workloads: Mapping[str, WorkloadSpec]
    # What is said of the requests to some of these services.
    profiles: tuple[ServiceProfile, ...] = ()
    # Where requests go and who may make them: routes, Servers and what authorizes there.
    policies: tuple[MeshObject, ...] = ()

    @property
    def deployments(self) -> tuple[Workload, ...]:
        """Every workload as the mesh knows it."""
        return tuple(workload.deployment for workload in self.workloads.values())


def port_name(target_port: int | str) -> str:
    """What a port of a workload is called, whatever its number is: on loopback addresses every replica has
    numbers of its own.
    """
    return str(target_port)


def app_labels(workload: str) -> Labels:
    """What there is to select by: the workload that a thing is, belongs to or stands for."""
    return MappingProxyType({LABEL_APP: workload})
