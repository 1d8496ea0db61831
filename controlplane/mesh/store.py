"""The store: holds the mesh by kind, finds by what readers ask by, and tells its subscribers of every change,
in order.

It belongs to one event loop and takes no locks. One source fills one store: objects of several never mix.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeVar

from linkerd2_py.controlplane.mesh.changes import Announcements, Change, OnChanges, Subscription
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import (
    Endpoints,
    EndpointsKey,
    ExternalWorkload,
    Key,
    MeshObject,
    Namespace,
    Node,
    Pod,
    Service,
    Workload,
    WorkloadKey,
)
from linkerd2_py.controlplane.mesh.policy import (
    AuthorizationPolicy,
    ExternalAuthorization,
    HTTPLocalRateLimitPolicy,
    MeshTLSAuthentication,
    NetworkAuthentication,
    Server,
    ServerAuthorization,
    Target,
)
from linkerd2_py.controlplane.mesh.routes import (
    GRPCRoute,
    HTTPRoute,
    Object,
    Route,
    RouteKey,
    TCPRoute,
    TLSRoute,
)
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile
from linkerd2_py.controlplane.mesh.slices import WorkloadSlice
from linkerd2_py.controlplane.mesh.table import Table
from linkerd2_py.controlplane.mesh.tokens import JWTAuthentication

T = TypeVar("T", bound=MeshObject)
Kind = type[MeshObject]


class Mesh:
    """All there is now, to be read: a table for each kind of objects, and look-ups that do not search."""

    def __init__(self) -> None:
        self.tables: dict[Kind, Table[Any, Any]] = {}
        self.namespaces: Table[str, Namespace] = self._table(Namespace)
        self.workloads: Table[WorkloadKey, Workload] = self._table(Workload)
        self.services: Table[Key, Service] = self._table(Service)
        self.pods: Table[Key, Pod] = self._table(Pod)
        self.endpoints: Table[EndpointsKey, Endpoints] = self._table(Endpoints)
        self.servers: Table[Key, Server] = self._table(Server)
        self.server_authorizations: Table[Key, ServerAuthorization]
        self.server_authorizations = self._table(ServerAuthorization)
        self.authorization_policies: Table[Key, AuthorizationPolicy]
        self.authorization_policies = self._table(AuthorizationPolicy)
        self.meshtls_authentications: Table[Key, MeshTLSAuthentication]
        self.meshtls_authentications = self._table(MeshTLSAuthentication)
        self.network_authentications: Table[Key, NetworkAuthentication]
        self.network_authentications = self._table(NetworkAuthentication)
        self.jwt_authentications: Table[Key, JWTAuthentication]
        self.jwt_authentications = self._table(JWTAuthentication)
        self.external_authorizations: Table[Key, ExternalAuthorization]
        self.external_authorizations = self._table(ExternalAuthorization)
        self.rate_limit_policies: Table[Key, HTTPLocalRateLimitPolicy]
        self.rate_limit_policies = self._table(HTTPLocalRateLimitPolicy)
        self.http_routes: Table[RouteKey, HTTPRoute] = self._table(HTTPRoute)
        self.grpc_routes: Table[RouteKey, GRPCRoute] = self._table(GRPCRoute)
        self.tls_routes: Table[RouteKey, TLSRoute] = self._table(TLSRoute)
        self.tcp_routes: Table[RouteKey, TCPRoute] = self._table(TCPRoute)
        self.egress_networks: Table[Key, EgressNetwork] = self._table(EgressNetwork)
        self.nodes: Table[str, Node] = self._table(Node)
        self.external_workloads: Table[Key, ExternalWorkload] = self._table(ExternalWorkload)
        self.workload_slices: Table[Key, WorkloadSlice] = self._table(WorkloadSlice)
        self.service_profiles: Table[Key, ServiceProfile] = self._table(ServiceProfile)
        self._services_by_ip = self.services.index(lambda service: service.ips)
        self._services_by_label = self.services.index(_selecting_label)
        self._pods_by_ip = self.pods.index(lambda pod: pod.own_ips)
        self._pods_by_host_address = self.pods.index(lambda pod: pod.host_addresses)
        self._pods_by_owner = self.pods.index(_owners)
        self._endpoints_by_service = self.endpoints.index(lambda found: (found.service_key,))
        self._endpoints_by_pod = self.endpoints.index(lambda found: found.pods)
        self._servers_by_namespace = self.servers.index(lambda server: (server.namespace,))
        self._servers_by_port = self.servers.index(
            lambda server: ((server.namespace, server.port),)
        )
        self._server_authorizations_by_server = self.server_authorizations.index(
            lambda one: (Key(one.namespace, one.server),)
        )
        self._authorization_policies_by_target = self.authorization_policies.index(
            lambda one: ((one.namespace, one.target),)
        )
        self._rate_limits_by_server = self.rate_limit_policies.index(lambda one: (one.server_key,))
        routes: tuple[Table[RouteKey, Any], ...]
        routes = (self.http_routes, self.grpc_routes, self.tls_routes, self.tcp_routes)
        self._routes_by_parent = [table.index(_parents_of) for table in routes]
        self._egress_networks_by_namespace = self.egress_networks.index(
            lambda network: (network.namespace,)
        )
        self._endpoints_by_external = self.endpoints.index(lambda found: found.externals)
        self._externals_by_address = self.external_workloads.index(lambda one: one.addresses)
        self._externals_by_label = self.external_workloads.index(_labels_of)
        self._workload_slices_by_service = self.workload_slices.index(
            lambda one: (one.service_key,)
        )

    def _table(self, kind: type[T]) -> Table[Any, T]:
        table: Table[Any, T] = Table()
        self.tables[kind] = table
        return table

    def is_synced(self, kind: Kind) -> bool:
        """Whether a source has said all there is of a kind: only then does nothing mean that
        there is none.
        """
        return self.tables[kind].listed.is_set()

    @property
    def unsynced(self) -> list[Kind]:
        """The kinds that nobody has listed yet."""
        return [kind for kind in self.tables if not self.is_synced(kind)]

    async def synced(self, kinds: Iterable[Kind]) -> None:
        """Wait until each of these has been listed."""
        for kind in kinds:
            await self.tables[kind].listed.wait()

    def service_at(self, ip: str) -> Service | None:
        """The service whose virtual address it is."""
        return next(iter(self._services_by_ip[ip]), None)

    def services_selecting(self, workload: Pod | ExternalWorkload) -> list[Service]:
        """The services that `workload` is behind."""
        labels = _labels_of(workload)
        candidates = (service for label in labels for service in self._services_by_label[label])
        return [service for service in candidates if service.selects(workload)]

    def externals_behind(self, service: Service) -> list[ExternalWorkload]:
        """The external workloads that a service selects."""
        labels = _selecting_label(service)
        candidates = (found for label in labels for found in self._externals_by_label[label])
        return [found for found in candidates if service.selects(found)]

    def workload_slices_of(self, service: Key) -> list[WorkloadSlice]:
        """The slices that are written for its external workloads."""
        return self._workload_slices_by_service[service]

    def pods_at(self, ip: str) -> list[Pod]:
        """The pods that have an address: one that ended may have it as well as the next."""
        return self._pods_by_ip[ip]

    def pods_behind(self, ip: str, port: int) -> list[Pod]:
        """The pods that a node's address leads to at this port."""
        return self._pods_by_host_address[ip, port]

    def externals_at(self, ip: str, port: int) -> list[ExternalWorkload]:
        """The external workloads that are reached there."""
        return self._externals_by_address[ip, port]

    def pods_of(self, workload: WorkloadKey) -> list[Pod]:
        """The pods that a workload owns."""
        return self._pods_by_owner[workload]

    def endpoints_of(self, service: Key) -> list[Endpoints]:
        """The Endpoints of all ports of a service."""
        return self._endpoints_by_service[service]

    def endpoints_with(self, pod: Key) -> list[Endpoints]:
        """The Endpoints that a pod is among."""
        return self._endpoints_by_pod[pod]

    def servers_in(self, namespace: str) -> list[Server]:
        """The Servers of a namespace."""
        return self._servers_by_namespace[namespace]

    def endpoints_with_external(self, workload: Key) -> list[Endpoints]:
        """The Endpoints that an external workload is among."""
        return self._endpoints_by_external[workload]

    def servers_of_port(self, namespace: str, port: int | str) -> list[Server]:
        """The Servers of a namespace that name a port so."""
        return self._servers_by_port[namespace, port]

    def server_authorizations_of(self, server: Server) -> list[ServerAuthorization]:
        """The ServerAuthorizations that select a Server, by its name or by its labels."""
        names = (server.key, Key(server.namespace, ""))
        candidates = (one for name in names for one in self._server_authorizations_by_server[name])
        return [one for one in candidates if one.selects(server)]

    def authorization_policies_of(
        self, namespace: str, target: Target
    ) -> list[AuthorizationPolicy]:
        """The AuthorizationPolicies of a namespace that are about `target`."""
        return self._authorization_policies_by_target[namespace, target]

    def rate_limits_of(self, server: Key) -> list[HTTPLocalRateLimitPolicy]:
        """The rate limits of a Server, whether it takes them or not."""
        return self._rate_limits_by_server[server]

    def routes_of(self, parent: Object) -> list[Route]:
        """The routes, of all kinds, that name it as a parent, whether it takes them or not."""
        return [route for index in self._routes_by_parent for route in index[parent]]

    def egress_networks_in(self, namespace: str) -> list[EgressNetwork]:
        """The egress networks of a namespace."""
        return self._egress_networks_by_namespace[namespace]


def _labels_of(workload: Pod | ExternalWorkload) -> tuple[tuple[str, str, str], ...]:
    return tuple((workload.namespace, *label) for label in workload.labels.items())


def _selecting_label(service: Service) -> tuple[tuple[str, str, str], ...]:
    # One label of the selector is enough to be found by; the others are compared.
    return tuple((service.namespace, *label) for label in sorted(service.selector.items())[:1])


def _parents_of(route: Route) -> frozenset[Object]:
    return route.attached_to


def _owners(pod: Pod) -> tuple[WorkloadKey, ...]:
    return (pod.owner_key,) if pod.owner_key else ()


class MeshStore:
    """The mesh as its source says it is, with subscribers."""

    def __init__(self) -> None:
        self.mesh = Mesh()
        self._announcements = Announcements()

    @property
    def subscribers(self) -> int:
        """How many subscriptions are open."""
        return len(self._announcements)

    def subscribe(self, on_changes: OnChanges) -> Subscription:
        """Be called with every later batch of changes, until closed; `mesh` says what holds now."""
        return self._announcements.subscribe(on_changes)

    def replace(self, listing: Mapping[Kind, Iterable[MeshObject]]) -> None:
        """Make each kind that is listed hold exactly these objects, and be synced; publish the difference as
        one batch.

        A kind that is not listed stays as it is. Objects that are equal to what is held cause nothing.
        """
        changes: list[Change] = []
        for kind, objects in listing.items():
            table = self.mesh.tables[kind]
            changes += table.replace(objects)
            table.listed.set()
        self._announcements.publish(changes)

    def apply(
        self, *, put: Iterable[MeshObject] = (), gone: Iterable[tuple[Kind, Hashable]] = ()
    ) -> None:
        """Drop the objects of some kinds and keys, and add others or replace those of their kind and key, as
        one batch.
        """
        changes: list[Change] = []
        for kind, key in gone:
            changes += self.mesh.tables[kind].drop(key)
        for obj in put:
            changes += self.mesh.tables[type(obj)].put(obj)
        self._announcements.publish(changes)

    def put(self, *objects: MeshObject) -> None:
        """Add objects, or replace those of their kind and key."""
        self.apply(put=objects)

    def remove(self, kind: Kind, *, key: Hashable) -> None:
        """Drop one object; nothing happens when there is none of that key."""
        self.apply(gone=[(kind, key)])
