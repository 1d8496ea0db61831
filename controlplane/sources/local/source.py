"""A mesh on this machine as objects of the mesh: what its mesh.yaml says, and what the supervisor knows of
each replica.

What is its own ends here: which workload a service names becomes a selector, and a port that leads to another
on a loopback address becomes an endpoint with the port that peers connect to.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import (
    Endpoints,
    EndpointsKey,
    Key,
    MeshObject,
    Namespace,
    Node,
    Pod,
    Service,
    Workload,
)
from linkerd2_py.controlplane.mesh.policy import (
    AuthorizationPolicy,
    ExternalAuthorization,
    HTTPLocalRateLimitPolicy,
    MeshTLSAuthentication,
    NetworkAuthentication,
    Server,
)
from linkerd2_py.controlplane.mesh.routes import GRPCRoute, HTTPRoute, TCPRoute, TLSRoute
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.mesh.tokens import JWTAuthentication
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec, app_labels
from linkerd2_py.controlplane.sources.local.replica import Replica

POLICIES: Final = (
    HTTPRoute,
    GRPCRoute,
    TLSRoute,
    TCPRoute,
    EgressNetwork,
    Server,
    AuthorizationPolicy,
    MeshTLSAuthentication,
    NetworkAuthentication,
    JWTAuthentication,
    ExternalAuthorization,
    HTTPLocalRateLimitPolicy,
)
"""The kinds that say where requests go, and who may make them."""


class LocalSource:
    """Publishes into a store that nobody else fills."""

    def __init__(self, store: MeshStore) -> None:
        self._store = store
        self._services: dict[Key, list[ServiceSpec]] = {}
        self._replicas: dict[Key, dict[Key, Replica]] = {}

    def describe(
        self,
        *,
        services: Iterable[ServiceSpec],
        workloads: Iterable[Workload],
        profiles: Iterable[ServiceProfile] = (),
        policies: Iterable[MeshObject] = (),
    ) -> None:
        """The services and workloads that there are from now on, and what is said of requests: `policies` are
        routes, and objects of the kinds that let clients in. With the first of them everything is listed.
        All of it is one change.
        """
        deployments, specs = list(workloads), list(services)
        names = {one.namespace for one in deployments} | {one.namespace for one in specs}
        self._services = {}
        for spec in specs:
            self._services.setdefault(Key(spec.namespace, spec.workload), []).append(spec)
        self._store.replace(
            {
                # What a mesh.yaml has no words for does not exist.
                **dict.fromkeys(self._store.mesh.unsynced, ()),
                Namespace: [Namespace(name) for name in sorted(names)],
                Workload: deployments,
                Service: [_service(spec) for spec in specs],
                ServiceProfile: list(profiles),
                **_by_kind(policies),
                Node: list({one.zone: _node(one) for one in self._all() if one.zone}.values()),
                Pod: [self._pod(one) for one in self._all()],
                Endpoints: [
                    found for workload in self._services for found in self._served(workload)
                ],
            }
        )

    def put(self, replica: Replica) -> None:
        """A replica has come, or is different."""
        self._replicas.setdefault(replica.workload_key, {})[replica.key] = replica
        place = [_node(replica)] if replica.zone else []
        self._publish(replica.workload_key, put=[*place, self._pod(replica)])

    def remove(self, replica: Replica) -> None:
        """A replica has gone. May be repeated."""
        workload = replica.workload_key
        self._replicas.get(workload, {}).pop(replica.key, None)
        self._publish(workload, gone=[(Pod, replica.key)])

    def _publish(
        self,
        workload: Key,
        *,
        put: Iterable[MeshObject] = (),
        gone: Iterable[tuple[type[MeshObject], Key]] = (),
    ) -> None:
        """A change of a replica, and what it makes of all that leads there: nobody sees one without the
        other.
        """
        served = list(self._served(workload))
        still = {found.key for found in served}
        services = (spec.key for spec in self._services.get(workload, ()))
        known = (found.key for key in services for found in self._store.mesh.endpoints_of(key))
        stale: list[tuple[type[MeshObject], EndpointsKey]] = [
            (Endpoints, key) for key in known if key not in still
        ]
        self._store.apply(put=[*put, *served], gone=[*gone, *stale])

    def _all(self) -> Iterator[Replica]:
        return (one for found in self._replicas.values() for one in found.values())

    def _pod(self, replica: Replica) -> Pod:
        """With the ports that some service says are opaque."""
        specs = (
            port for spec in self._services.get(replica.workload_key, ()) for port in spec.ports
        )
        return replica.pod(
            opaque=[
                port.target_port
                for port in specs
                if port.opaque and isinstance(port.target_port, int)
            ]
        )

    def _served(self, workload: Key) -> Iterator[Endpoints]:
        """The Endpoints of every service that leads to a workload."""
        replicas = self._replicas.get(workload, {}).values()
        for spec in self._services.get(workload, ()):
            targets = {port.port: port.target_port for port in spec.ports}
            # A port that the service does not declare is the replicas' own number.
            own = {number: number for one in replicas for number in one.ports}
            for port, target in (own | targets).items():
                found = tuple(end for one in replicas for end in one.endpoints(target))
                yield Endpoints(spec.namespace, spec.name, port, found)


def _node(replica: Replica) -> Node:
    """What stands for its zone: proxies say on which node they are."""
    return Node(replica.zone, replica.zone)


def _service(spec: ServiceSpec) -> Service:
    labels = app_labels(spec.workload)
    return Service(
        spec.namespace,
        spec.name,
        spec.ports,
        selector=labels,
        ips=spec.ips,
        headless=spec.headless,
        labels=labels,
        annotations=spec.annotations,
    )


def _by_kind(policies: Iterable[MeshObject]) -> dict[type[MeshObject], list[MeshObject]]:
    """Of every kind that a mesh.yaml makes, also where it has none."""
    found: dict[type[MeshObject], list[MeshObject]] = {kind: [] for kind in POLICIES}
    for one in policies:
        found[type(one)].append(one)
    return found
