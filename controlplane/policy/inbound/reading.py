"""Look-ups in the mesh that note what they depend on: whatever an answer has read may change it."""

from __future__ import annotations

from linkerd2_py.controlplane.mesh.inbound import InboundSettings
from linkerd2_py.controlplane.mesh.objects import Key, Labels
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
from linkerd2_py.controlplane.mesh.routes import POLICY, GRPCRoute, HTTPRoute, Object, Route
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.mesh.tokens import JWTAuthentication
from linkerd2_py.controlplane.policy.attachment import ACCEPTED, attachment
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.inbound import topics
from linkerd2_py.controlplane.policy.workload import AskingWorkload
from linkerd2_py.controlplane.streams.topics import Topic


class Reading:
    """One reading of the mesh as it is now. `tokens`, `external`: for whom what needs a token, or somebody
    else's word, is something, too.
    """

    def __init__(
        self, mesh: Mesh, *, cluster: Cluster, tokens: bool = True, external: bool = True
    ) -> None:
        self.tokens = tokens
        self._mesh = mesh
        self.external = external
        self._cluster = cluster
        self._topics: set[Topic] = set()

    @property
    def depends_on(self) -> frozenset[Topic]:
        """Everything that was asked for so far, found or not."""
        return frozenset(self._topics)

    def workload(self, asking: AskingWorkload) -> tuple[Labels, InboundSettings] | None:
        """Labels and settings of a workload that has a proxy."""
        self._topics.add(topics.workload_topic(asking))
        if asking.pod:
            pod = self._mesh.pods.get(Key(asking.namespace, asking.pod))
            return (pod.labels, pod.inbound) if pod and pod.meshed else None
        key = Key(asking.namespace, asking.external_workload)
        found = self._mesh.external_workloads.get(key)
        return (found.labels, found.inbound) if found else None

    def default_policy(self, namespace: str) -> str:
        """What a namespace says for its pods; empty where it does not."""
        self._topics.add(topics.namespace_topic(namespace))
        found = self._mesh.namespaces.get(namespace)
        return found.annotations.get(topics.DEFAULT_POLICY, "") if found else ""

    def servers(self, namespace: str, port: int | str) -> list[Server]:
        """The Servers of a namespace that name a port so."""
        self._topics.add(topics.port_topic(namespace, port))
        return self._mesh.servers_of_port(namespace, port)

    def server_authorizations(self, server: Server) -> list[ServerAuthorization]:
        """Those that select a Server."""
        for name in (server.name, ""):
            self._topics.add(topics.server_authorizations_topic(server.namespace, name))
        return self._mesh.server_authorizations_of(server)

    def authorization_policies(self, namespace: str, target: Target) -> list[AuthorizationPolicy]:
        """Those of a namespace that are about a target."""
        self._topics.add(topics.authorization_policies_topic(namespace, target))
        return self._mesh.authorization_policies_of(namespace, target)

    def meshtls_authentication(self, key: Key) -> MeshTLSAuthentication | None:
        """The one of this name."""
        self._topics.add(topics.meshtls_topic(key))
        return self._mesh.meshtls_authentications.get(key)

    def network_authentication(self, key: Key) -> NetworkAuthentication | None:
        """The one of this name."""
        self._topics.add(topics.network_topic(key))
        return self._mesh.network_authentications.get(key)

    def jwt_authentication(self, key: Key) -> JWTAuthentication | None:
        """The one of this name."""
        self._topics.add(topics.jwt_topic(key))
        return self._mesh.jwt_authentications.get(key)

    def external_authorization(self, key: Key) -> ExternalAuthorization | None:
        """The one of this name."""
        self._topics.add(topics.external_topic(key))
        return self._mesh.external_authorizations.get(key)

    def http_routes(self, server: Key) -> list[HTTPRoute]:
        """The HTTPRoutes of its own namespace that a Server has."""
        return [one for one in self._routes(server) if isinstance(one, HTTPRoute)]

    def grpc_routes(self, server: Key) -> list[GRPCRoute]:
        """The GRPCRoutes of its own namespace that a Server has."""
        return [one for one in self._routes(server) if isinstance(one, GRPCRoute)]

    def rate_limits(self, server: Key) -> list[HTTPLocalRateLimitPolicy]:
        """Those that name a Server."""
        self._topics.add(topics.rate_limits_topic(server))
        return self._mesh.rate_limits_of(server)

    def _routes(self, server: Key) -> list[Route]:
        self._topics.add(topics.routes_topic(server))
        found = self._mesh.routes_of(Object("Server", *server))
        return [route for route in found if self._takes(server, route)]

    def _takes(self, server: Key, route: Route) -> bool:
        """As the route's status says it. Servers of another namespace spoil it."""
        named = [one for one in route.parents if (one.group, one.kind) == (POLICY, "Server")]
        return all(one.namespace == route.namespace for one in named) and any(
            one.name == server.name
            and attachment(route, one, mesh=self._mesh, cluster=self._cluster) == ACCEPTED
            for one in named
        )
