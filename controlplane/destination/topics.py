"""What answers of destination depend on, and what of that a change may touch."""

from collections.abc import Iterable, Iterator, Sequence

from linkerd2_py.controlplane.destination.facts import OPAQUE
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import (
    Endpoints,
    EndpointsKey,
    ExternalWorkload,
    Key,
    MeshObject,
    Node,
    Pod,
    Service,
)
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.streams.topics import Topic


def service_topic(service: Key) -> Topic:
    """A service's own definition."""
    return Topic("service", service)


def endpoints_topic(endpoints: EndpointsKey) -> Topic:
    """Who serves a port of a service, and what peers must know of them."""
    return Topic("endpoints", endpoints)


def served_topic(service: Key) -> Topic:
    """Who serves whatever port of a service."""
    return Topic("served", service)


def address_topic(ip: str) -> Topic:
    """The pod, the service or the external workload that has an address, if any."""
    return Topic("address", ip)


def servers_topic(namespace: str) -> Topic:
    """The Servers of a namespace that say which ports are opaque."""
    return Topic("servers", namespace)


def profile_topic(profile: Key) -> Topic:
    """What a namespace says of a service."""
    return Topic("profile", profile)


def node_topic(node: str) -> Topic:
    """Where a node stands."""
    return Topic("node", node)


def topics_of(changes: Sequence[Change], *, mesh: Mesh) -> frozenset[Topic]:
    """All that may be different after `changes`, which led to `mesh`, both where things were and where they
    are.
    """
    return frozenset(_topics(changes, mesh=mesh))


def _topics(changes: Iterable[Change], *, mesh: Mesh) -> Iterator[Topic]:
    for change in changes:
        match change.subject:
            case Service() as service:
                yield service_topic(service.key)
                yield from map(address_topic, _ips(change))
            case Endpoints() as found:
                yield from _of_endpoints(found)
            case Pod() as pod if _seen(change.before) != _seen(change.after):
                for found in mesh.endpoints_with(pod.key):
                    yield from _of_endpoints(found)
                yield from map(address_topic, _ips(change))
            case ExternalWorkload() as workload:
                for found in mesh.endpoints_with_external(workload.key):
                    yield from _of_endpoints(found)
                yield from map(address_topic, _ips(change))
            case Server() as server if _says_opaque(change.before) or _says_opaque(change.after):
                yield servers_topic(server.namespace)
            case ServiceProfile() as profile:
                yield profile_topic(profile.key)
            case Node() as node:
                yield node_topic(node.name)


def _of_endpoints(found: Endpoints) -> Iterator[Topic]:
    yield endpoints_topic(found.key)
    yield served_topic(found.service_key)


def _says_opaque(server: MeshObject | None) -> bool:
    return isinstance(server, Server) and server.proxy_protocol == OPAQUE


def _ips(change: Change) -> Iterator[str]:
    for side in (change.before, change.after):
        if isinstance(side, Pod | Service | ExternalWorkload):
            yield from side.ips
        if isinstance(side, Pod):
            yield from (ip for ip, _ in side.host_addresses)


def _seen(pod: object) -> tuple[object, ...] | None:
    """What answers say of a pod. Whether it is ready is told by its Endpoints."""
    if not isinstance(pod, Pod):
        return None
    return (
        pod.owner,
        pod.ips,
        pod.labels,
        pod.status in {"Failed", "Terminating"},
        pod.node,
        pod.service_account,
        pod.meshed,
        pod.control_plane,
        pod.proxied,
        pod.identity,
        pod.inbound_port,
        pod.opaque_ports,
        pod.admin_ports,
        pod.ports,
        pod.relays,
        pod.host_network,
        pod.host_ips,
        pod.weight,
    )
