"""A cluster as objects of the mesh: every kind that answers are made of, listed and followed for as long as
the source runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.objects import (
    DEFAULT_OPAQUE_PORTS,
    ExternalWorkload,
    MeshObject,
    Namespace,
    Node,
)
from linkerd2_py.controlplane.mesh.policy import (
    AuthorizationPolicy,
    ExternalAuthorization,
    HTTPLocalRateLimitPolicy,
    MeshTLSAuthentication,
    NetworkAuthentication,
    Server,
    ServerAuthorization,
)
from linkerd2_py.controlplane.mesh.routes import (
    EXTENSION,
    GATEWAY,
    POLICY,
    GRPCRoute,
    HTTPRoute,
    TCPRoute,
    TLSRoute,
)
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.mesh.table import Table
from linkerd2_py.controlplane.mesh.tokens import TOKENS_GROUP, JWTAuthentication
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer
from linkerd2_py.controlplane.sources.kubernetes.assembly import Assembly, TableSink
from linkerd2_py.controlplane.sources.kubernetes.direct import DirectKind
from linkerd2_py.controlplane.sources.kubernetes.external_authorizations import (
    read_external_authorization,
)
from linkerd2_py.controlplane.sources.kubernetes.external_workloads import (
    read_external_workload,
)
from linkerd2_py.controlplane.sources.kubernetes.fields import labels, text
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities, read_pod
from linkerd2_py.controlplane.sources.kubernetes.policy import (
    read_authorization_policy,
    read_meshtls_authentication,
    read_network_authentication,
    read_rate_limit_policy,
    read_server,
    read_server_authorization,
)
from linkerd2_py.controlplane.sources.kubernetes.reflector import Reflector, Resource, Sink
from linkerd2_py.controlplane.sources.kubernetes.routes import (
    read_egress_network,
    read_gateway_http_route,
    read_grpc_route,
    read_linkerd_http_route,
    read_tcp_route,
    read_tls_route,
)
from linkerd2_py.controlplane.sources.kubernetes.service_profiles import read_service_profile
from linkerd2_py.controlplane.sources.kubernetes.services import read_service, read_slice
from linkerd2_py.controlplane.sources.kubernetes.tokens import read_jwt_authentication
from linkerd2_py.controlplane.sources.kubernetes.workloads import read_workload

_ZONE: Final = "topology.kubernetes.io/zone"

NAMESPACES: Final = Resource("namespaces")
NODES: Final = Resource("nodes", metadata=True, describes=True)
PODS: Final = Resource("pods")
SERVICES: Final = Resource("services")
SLICES: Final = Resource("endpointslices", group="discovery.k8s.io")
WORKLOADS: Final = {
    "deployment": Resource("deployments", group="apps"),
    "statefulset": Resource("statefulsets", group="apps"),
    "daemonset": Resource("daemonsets", group="apps"),
    # Most of them are old ones of deployments; only whose they are is asked.
    "replicaset": Resource("replicasets", group="apps", metadata=True, describes=True),
    "job": Resource("jobs", group="batch", metadata=True, describes=True),
    "cronjob": Resource("cronjobs", group="batch", metadata=True, describes=True),
    "replicationcontroller": Resource("replicationcontrollers", metadata=True, describes=True),
}
DIRECT: Final[Mapping[type[MeshObject], Mapping[Resource, Callable[[Json], MeshObject]]]] = {
    Server: {Resource("servers", POLICY, "v1beta3", optional=True): read_server},
    ServerAuthorization: {
        Resource("serverauthorizations", POLICY, "v1beta1", optional=True): (
            read_server_authorization
        )
    },
    AuthorizationPolicy: {
        Resource("authorizationpolicies", POLICY, "v1alpha1", optional=True): (
            read_authorization_policy
        )
    },
    MeshTLSAuthentication: {
        Resource("meshtlsauthentications", POLICY, "v1alpha1", optional=True): (
            read_meshtls_authentication
        )
    },
    NetworkAuthentication: {
        Resource("networkauthentications", POLICY, "v1alpha1", optional=True): (
            read_network_authentication
        )
    },
    JWTAuthentication: {
        Resource("jwtauthentications", TOKENS_GROUP, "v1alpha1", optional=True): (
            read_jwt_authentication
        )
    },
    ExternalAuthorization: {
        Resource("externalauthorizations", EXTENSION, "v1alpha1", optional=True): (
            read_external_authorization
        )
    },
    HTTPLocalRateLimitPolicy: {
        Resource("httplocalratelimitpolicies", POLICY, "v1alpha1", optional=True): (
            read_rate_limit_policy
        )
    },
    HTTPRoute: {
        Resource("httproutes", GATEWAY, optional=True): read_gateway_http_route,
        Resource("httproutes", POLICY, "v1beta3", optional=True): read_linkerd_http_route,
    },
    GRPCRoute: {Resource("grpcroutes", GATEWAY, optional=True): read_grpc_route},
    TLSRoute: {Resource("tlsroutes", GATEWAY, "v1alpha2", optional=True): read_tls_route},
    TCPRoute: {Resource("tcproutes", GATEWAY, "v1alpha2", optional=True): read_tcp_route},
    EgressNetwork: {
        Resource("egressnetworks", POLICY, "v1alpha1", optional=True): read_egress_network
    },
    ServiceProfile: {
        Resource("serviceprofiles", "linkerd.io", "v1alpha2", optional=True): read_service_profile
    },
    ExternalWorkload: {
        Resource("externalworkloads", "workload.linkerd.io", "v1beta1", optional=True): (
            read_external_workload
        )
    },
}
"""Kinds of the mesh that nothing is joined for, with every name that each is served under."""
_WITH_OPAQUE_PORTS: Final = frozenset({EgressNetwork, ExternalWorkload})
"""Those of them that have the default ones where they do not say which."""


class KubernetesSource:
    """Fills a store that nobody else fills, until stopped."""

    def __init__(
        self,
        api: ApiServer,
        *,
        store: MeshStore,
        clock: Clock,
        identities: Identities,
        default_opaque_ports: frozenset[int] = DEFAULT_OPAQUE_PORTS,
    ) -> None:
        self._api = api
        self._clock = clock
        self._assembly = assembly = Assembly(
            store, workload_kinds=WORKLOADS, default_opaque_ports=default_opaque_ports
        )
        pod = partial(read_pod, identities=identities, default_opaque_ports=default_opaque_ports)
        self._reflectors = [
            self._reflector(NAMESPACES, assembly.namespaces, read=read_namespace),
            self._reflector(NODES, assembly.nodes, read=read_node),
            self._reflector(PODS, assembly.pods, read=pod),
            self._reflector(SERVICES, assembly.services, read=read_service),
            self._reflector(SLICES, assembly.slices, read=read_slice),
            *(
                self._reflector(
                    resource, assembly.workloads[kind], read=partial(read_workload, kind=kind)
                )
                for kind, resource in WORKLOADS.items()
            ),
            *self._direct(store, default_opaque_ports=default_opaque_ports),
        ]
        self._tasks = [
            supervise(one.run, name=f"reflector {one.resource}") for one in self._reflectors
        ]

    @property
    def problems(self) -> list[str]:
        """One line for each kind that cannot be followed now; the others go on."""
        return [one.problem for one in self._reflectors if one.problem]

    @property
    def unsynced(self) -> list[str]:
        """The kinds that have not been listed yet."""
        return [str(one.resource) for one in self._reflectors if not one.synced]

    async def stop(self) -> None:
        """Follow no more. What the store holds stays."""
        await cancel_all(self._tasks)

    def _reflector(
        self, resource: Resource, table: Table[Any, Any], *, read: Callable[[Json], Any]
    ) -> Reflector[Any]:
        return self._follow(resource, TableSink(table, read=read, assembly=self._assembly))

    def _direct(
        self, store: MeshStore, *, default_opaque_ports: frozenset[int]
    ) -> Iterator[Reflector[Any]]:
        for kind, names in DIRECT.items():
            direct = DirectKind(kind, store=store)
            more = {"default_opaque_ports": default_opaque_ports}
            for resource, read in names.items():
                reads = partial(read, **more) if kind in _WITH_OPAQUE_PORTS else read
                yield self._follow(resource, direct.sink(reads))

    def _follow(self, resource: Resource, sink: Sink[Any]) -> Reflector[Any]:
        return Reflector(resource, api=self._api, sink=sink, clock=self._clock)


def read_namespace(found: Json) -> Namespace:
    return Namespace(
        text(found, "metadata", "name"),
        labels=labels(found, "metadata", "labels"),
        annotations=labels(found, "metadata", "annotations"),
    )


def read_node(found: Json) -> Node:
    return Node(text(found, "metadata", "name"), text(found, "metadata", "labels", _ZONE))
