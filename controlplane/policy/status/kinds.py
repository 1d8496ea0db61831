"""Every kind whose status is ours to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.policy import HTTPLocalRateLimitPolicy
from linkerd2_py.controlplane.mesh.routes import (
    GATEWAY,
    POLICY,
    ROUTES,
    GRPCRoute,
    HTTPRoute,
    RouteKey,
    TCPRoute,
    TLSRoute,
)
from linkerd2_py.controlplane.mesh.store import Kind
from linkerd2_py.controlplane.policy.status import limits, networks, routes
from linkerd2_py.controlplane.streams.topics import Topic

_RESOURCES: Final = {
    (HTTPRoute, GATEWAY): "v1/httproutes",
    (HTTPRoute, POLICY): "v1beta3/httproutes",
    (GRPCRoute, GATEWAY): "v1/grpcroutes",
    (TLSRoute, GATEWAY): "v1alpha2/tlsroutes",
    (TCPRoute, GATEWAY): "v1alpha2/tcproutes",
    (EgressNetwork, POLICY): "v1alpha1/egressnetworks",
    (HTTPLocalRateLimitPolicy, POLICY): "v1alpha1/httplocalratelimitpolicies",
}


class Subject(NamedTuple):
    """An object whose status is written."""

    kind: Kind
    key: Any

    @property
    def path(self) -> str:
        """Where the API server has it."""
        group = self.key.group if isinstance(self.key, RouteKey) else POLICY
        version, _, plural = _RESOURCES[self.kind, group].partition("/")
        namespaced = f"namespaces/{self.key.namespace}/{plural}/{self.key.name}"
        return f"/apis/{group}/{version}/{namespaced}"

    def __str__(self) -> str:
        return f"{self.kind.__name__} {self.key.namespace}/{self.key.name}"


@dataclass(frozen=True, slots=True)
class StatusOf:
    """How the status of a kind is made: what it says now of `said` and should say as `wanted`, as values that
    are equal where nothing is to be written, the whole `status` of an object with what it should say (None
    where it does), and the topics it depends on beside itself.
    """

    said: Callable[[Any], object]
    wanted: Callable[..., object]
    status: Callable[..., Json | None]
    topics: Callable[[Any], Iterable[Topic]]


_OF_ROUTES: Final = StatusOf(
    routes.said_of_route, routes.wanted_of_route, routes.status_of_route, routes.topics_of_route
)
STATUSES: Final[Mapping[Kind, StatusOf]] = {
    **dict.fromkeys(ROUTES, _OF_ROUTES),
    EgressNetwork: StatusOf(
        networks.said_of_network,
        networks.wanted_of_network,
        networks.status_of_network,
        networks.topics_of_network,
    ),
    HTTPLocalRateLimitPolicy: StatusOf(
        limits.said_of_limit, limits.wanted_of_limit, limits.status_of_limit, limits.topics_of_limit
    ),
}
