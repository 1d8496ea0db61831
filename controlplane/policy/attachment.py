"""Which parents take a route: what its status says, and what alone answers are made of."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final, TypeVar

from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.objects import Key, Service
from linkerd2_py.controlplane.mesh.routes import Object, Route
from linkerd2_py.controlplane.mesh.status import Condition, Parent
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.cluster import Cluster

R = TypeVar("R", bound=Route)

ACCEPTED: Final = Condition("Accepted", holds=True, reason="Accepted")
_NO_PARENT: Final = Condition("Accepted", holds=False, reason="NoMatchingParent")
_HEADLESS: Final = Condition(
    "Accepted",
    holds=False,
    reason="NoMatchingParent",
    message="parent service must have a ClusterIP",
)
_NETWORK_REFUSED: Final = Condition(
    "Accepted",
    holds=False,
    reason="NoMatchingParent",
    message="EgressNetwork parent has not been accepted",
)
_CONFLICTED: Final = Condition("Accepted", holds=False, reason="RouteReasonConflicted")
_OVERLAPS: Final = Condition(
    "Accepted",
    holds=False,
    reason="EgressReasonNetworkOverlap",
    message="networks overlap with clusterNetworks",
)
_PRECEDENCE: Final = {"GRPCRoute": 0, "HTTPRoute": 1, "TLSRoute": 2, "TCPRoute": 3}


def attachment(route: Route, parent: Parent, *, mesh: Mesh, cluster: Cluster) -> Condition | None:
    """Whether `parent` takes the route; None where it is another controller's."""
    key = Key(parent.namespace, parent.name)
    match parent.kind:
        case "Service":
            service = mesh.services.get(key)
            missing = _missing_service(service)
        case "EgressNetwork":
            network = mesh.egress_networks.get(key)
            missing = _missing_network(network, cluster=cluster)
        case "Server":
            missing = None if key in mesh.servers else _NO_PARENT
        case _:
            return None
    if missing:
        return missing
    return _CONFLICTED if _gives_way(route, parent, mesh=mesh) else ACCEPTED


def network_acceptance(network: EgressNetwork, *, cluster: Cluster) -> Condition:
    """An EgressNetwork is refused where it is about addresses of the cluster."""
    meant = networks_of(network, cluster=cluster)
    overlaps = any(one.overlaps(inside) for one in meant for inside in cluster.networks)
    return _OVERLAPS if overlaps else ACCEPTED


def networks_of(network: EgressNetwork, *, cluster: Cluster) -> tuple[Network, ...]:
    """The addresses it is about: where it names none, all but the cluster's."""
    if network.networks is not None:
        return network.networks
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    return tuple(
        Network(cidr, tuple(one for one in cluster.networks if one.version == cidr.version))
        for cidr in everything
    )


def attached(
    kind: type[R], parent: Object, *, port: int, mesh: Mesh, cluster: Cluster
) -> Iterator[R]:
    """The routes of a kind that a port of `parent` takes."""
    for route in mesh.routes_of(parent):
        if isinstance(route, kind) and any(
            _is_about(named, parent, port=port)
            and attachment(route, named, mesh=mesh, cluster=cluster) == ACCEPTED
            for named in route.parents
        ):
            yield route


def _is_about(named: Parent, parent: Object, *, port: int) -> bool:
    if Object(named.kind, named.namespace, named.name) != parent:
        return False
    # Of egress networks only routes that name the port are about it, as Linkerd has it.
    return named.port == port or (named.port == 0 and named.kind == "Service")


def _missing_service(service: Service | None) -> Condition | None:
    if service is None:
        return _NO_PARENT
    # A mesh on loopback addresses has services without an address that are reached by their name.
    return _HEADLESS if service.headless or service.alias else None


def _missing_network(network: EgressNetwork | None, *, cluster: Cluster) -> Condition | None:
    if network is None:
        return _NO_PARENT
    accepted = network_acceptance(network, cluster=cluster) == ACCEPTED
    return None if accepted else _NETWORK_REFUSED


def _gives_way(route: Route, parent: Parent, *, mesh: Mesh) -> bool:
    """Whether a route of a kind that goes before its own names the very same parent."""
    at = Object(parent.kind, parent.namespace, parent.name)
    return any(
        _PRECEDENCE[other.kind] < _PRECEDENCE[route.kind] and parent in other.parents
        for other in mesh.routes_of(at)
    )
