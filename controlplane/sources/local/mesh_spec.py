"""What a mesh.yaml says, as values: services, and workloads with what it takes to run them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from linkerd2_py.base.names import service_authority
from linkerd2_py.controlplane.mesh.objects import Deployment, Service


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

    @property
    def deployment(self) -> Deployment:
        """The registry's view of it."""
        return Deployment(self.namespace, self.name, self.replicas, self.meshed)


@dataclass(frozen=True, slots=True)
class MeshSpec:
    """A whole valid mesh.yaml."""

    namespace: str
    services: Mapping[str, Service]
    workloads: Mapping[str, WorkloadSpec]

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """Every workload as the registry's Deployment."""
        return tuple(workload.deployment for workload in self.workloads.values())
