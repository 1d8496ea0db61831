"""What a target is in the mesh: a port of a service, addresses outside that somebody rules, or outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.networks import Address
from linkerd2_py.controlplane.mesh.objects import Key, Labels, no_labels
from linkerd2_py.controlplane.mesh.routes import CORE, POLICY, Object
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.attachment import networks_of
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.outbound.targets import AddressTarget, NamedTarget, Question


@dataclass(frozen=True, slots=True)
class Place:
    """A port of a service or of an egress network, which routes may be attached to.

    `protocol` is `http1`, `http2` or `opaque`, empty where the first bytes tell. What an egress network
    `allows` is what no route is about; `address` is then where a connection was going. `annotations` say how
    requests are retried and timed out and when an endpoint is left alone: two places are the same whatever
    theirs were.
    """

    key: Key
    port: int
    protocol: str = ""
    annotations: Labels = field(default_factory=no_labels, compare=False)
    is_egress: bool = False
    allows: bool = True
    address: Address | None = None

    @property
    def kind(self) -> str:
        """As references to it say."""
        return "EgressNetwork" if self.is_egress else "Service"

    @property
    def group(self) -> str:
        """As references to it say."""
        return POLICY if self.is_egress else CORE

    @property
    def object(self) -> Object:
        """What routes name as their parent."""
        return Object(self.kind, *self.key)


@dataclass(frozen=True, slots=True)
class UndefinedPort:
    """A service is there, but nothing of it at this port."""

    key: Key
    port: int


@dataclass(frozen=True, slots=True)
class Outside:
    """An address of nobody's concern."""

    address: Address
    port: int


Found = Place | UndefinedPort | Outside


def resolve(question: Question, *, mesh: Mesh, cluster: Cluster) -> Found | None:
    """None for an address in the cluster that is no service's: pods are found in other ways."""
    target = question.target
    if isinstance(target, NamedTarget):
        return _service(target.service, port=target.port, mesh=mesh)
    service = mesh.service_at(str(target.ip))
    if service is not None:
        if service.port(target.port) is None:
            return UndefinedPort(service.key, target.port)
        return _service(service.key, port=target.port, mesh=mesh)
    network = _network(target.ip, namespace=question.namespace, mesh=mesh, cluster=cluster)
    if network is not None:
        return _egress(network, target=target)
    return None if target.ip in cluster else Outside(target.ip, target.port)


def _service(key: Key, *, port: int, mesh: Mesh) -> Place:
    """Also of a service that is not there: a name is asked before the service is known."""
    service = mesh.services.get(key)
    if service is None:
        return Place(key, port)
    spec = service.port(port)
    protocol = _protocol(spec.app_protocol, opaque=spec.opaque) if spec else ""
    return Place(key, port, protocol, service.annotations)


def _protocol(written: str, *, opaque: bool) -> str:
    """As Linkerd understands `appProtocol`: one that it does not know is no HTTP to it."""
    match written.lower():
        case "":
            return "opaque" if opaque else ""
        case "http":
            return "http1"
        case "kubernetes.io/h2c":
            return "http2"
    return "opaque"


def _egress(network: EgressNetwork, *, target: AddressTarget) -> Place:
    return Place(
        network.key,
        target.port,
        protocol="opaque" if target.port in network.opaque_ports else "",
        annotations=network.annotations,
        is_egress=True,
        allows=network.allows,
        address=target.ip,
    )


def _network(
    address: Address, *, namespace: str, mesh: Mesh, cluster: Cluster
) -> EgressNetwork | None:
    """The most specific one, of those the older. Networks of the client's own namespace hide the others."""
    own = mesh.egress_networks_in(namespace)
    candidates = own or mesh.egress_networks_in(cluster.egress_namespace)
    sized = ((_size(one, address=address, cluster=cluster), one) for one in candidates)
    return _first((size, one) for size, one in sized if size is not None)


def _first(sized: Iterable[tuple[int, EgressNetwork]]) -> EgressNetwork | None:
    ordered = sorted(sized, key=lambda found: (found[0], found[1].created, found[1].key))
    return ordered[0][1] if ordered else None


def _size(network: EgressNetwork, *, address: Address, cluster: Cluster) -> int | None:
    meant = networks_of(network, cluster=cluster)
    return min((one.size for one in meant if address in one), default=None)
