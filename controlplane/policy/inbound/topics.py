"""What answers about ports depend on, and what of that a change may touch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import ExternalWorkload, Key, MeshObject, Namespace, Pod
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
from linkerd2_py.controlplane.mesh.routes import GRPCRoute, HTTPRoute
from linkerd2_py.controlplane.mesh.tokens import JWTAuthentication
from linkerd2_py.controlplane.policy.workload import AskingWorkload
from linkerd2_py.controlplane.streams.topics import Topic

DEFAULT_POLICY: Final = "config.linkerd.io/default-inbound-policy"
"""The annotation by which a namespace speaks for its pods."""


def workload_topic(workload: AskingWorkload) -> Topic:
    """What a workload is, and what it says of its ports."""
    return Topic("workload", (workload.namespace, workload.pod, workload.external_workload))


def namespace_topic(namespace: str) -> Topic:
    """What a namespace says for its pods."""
    return Topic("namespace", namespace)


def port_topic(namespace: str, port: int | str) -> Topic:
    """The Servers of a namespace that name a port so."""
    return Topic("servers", (namespace, port))


def server_authorizations_topic(namespace: str, server: str) -> Topic:
    """The ServerAuthorizations that name a Server or, without a name, those that select by labels."""
    return Topic("server-authorizations", (namespace, server))


def authorization_policies_topic(namespace: str, target: Target | None) -> Topic:
    """The AuthorizationPolicies of a namespace that are about a target."""
    return Topic("authorization-policies", (namespace, target))


def meshtls_topic(authentication: Key) -> Topic:
    """A MeshTLSAuthentication, there or not."""
    return Topic("meshtls-authentication", authentication)


def network_topic(authentication: Key) -> Topic:
    """A NetworkAuthentication, there or not."""
    return Topic("network-authentication", authentication)


def jwt_topic(authentication: Key) -> Topic:
    """A JWTAuthentication, there or not."""
    return Topic("jwt-authentication", authentication)


def external_topic(authorization: Key) -> Topic:
    """An ExternalAuthorization, there or not."""
    return Topic("external-authorization", authorization)


def routes_topic(server: Key) -> Topic:
    """The routes of a Server."""
    return Topic("routes", server)


def rate_limits_topic(server: Key) -> Topic:
    """The rate limits of a Server."""
    return Topic("rate-limits", server)


def topics_of(changes: Sequence[Change]) -> frozenset[Topic]:
    """All that may be different after `changes`, both where things were and where they are."""
    return frozenset(topic for change in changes for topic in _of_change(change))


def _of_change(change: Change) -> Iterable[Topic]:
    kind = type(change.subject)
    seen = _SEEN.get(kind)
    if kind not in _TOPICS or (seen and _see(seen, change.before) == _see(seen, change.after)):
        return
    for side in (change.before, change.after):
        if side is not None:
            yield from _TOPICS[kind](side)


def _see(seen: Callable[[MeshObject], object], side: MeshObject | None) -> object:
    return None if side is None else (seen(side),)


def _of_pod(pod: Pod) -> Iterator[Topic]:
    yield workload_topic(AskingWorkload(pod.namespace, pod=pod.name))


def _of_external(workload: ExternalWorkload) -> Iterator[Topic]:
    yield workload_topic(AskingWorkload(workload.namespace, external_workload=workload.name))


def _of_namespace(namespace: Namespace) -> Iterator[Topic]:
    yield namespace_topic(namespace.name)


def _of_server(server: Server) -> Iterator[Topic]:
    yield port_topic(server.namespace, server.port)


def _of_server_authorization(one: ServerAuthorization) -> Iterator[Topic]:
    yield server_authorizations_topic(one.namespace, one.server)


def _of_authorization_policy(one: AuthorizationPolicy) -> Iterator[Topic]:
    yield authorization_policies_topic(one.namespace, one.target)


def _of_meshtls(one: MeshTLSAuthentication) -> Iterator[Topic]:
    yield meshtls_topic(one.key)


def _of_network(one: NetworkAuthentication) -> Iterator[Topic]:
    yield network_topic(one.key)


def _of_jwt(one: JWTAuthentication) -> Iterator[Topic]:
    yield jwt_topic(one.key)


def _of_external_authorization(one: ExternalAuthorization) -> Iterator[Topic]:
    yield external_topic(one.key)


def _of_route(route: HTTPRoute | GRPCRoute) -> Iterator[Topic]:
    for parent in route.attached_to:
        if parent.kind == "Server":
            yield routes_topic(Key(parent.namespace, parent.name))


def _of_rate_limit(one: HTTPLocalRateLimitPolicy) -> Iterator[Topic]:
    yield rate_limits_topic(one.server_key)


_TOPICS: Final[dict[type[MeshObject], Callable[..., Iterator[Topic]]]] = {
    Pod: _of_pod,
    ExternalWorkload: _of_external,
    Namespace: _of_namespace,
    Server: _of_server,
    ServerAuthorization: _of_server_authorization,
    AuthorizationPolicy: _of_authorization_policy,
    MeshTLSAuthentication: _of_meshtls,
    NetworkAuthentication: _of_network,
    JWTAuthentication: _of_jwt,
    ExternalAuthorization: _of_external_authorization,
    HTTPRoute: _of_route,
    GRPCRoute: _of_route,
    HTTPLocalRateLimitPolicy: _of_rate_limit,
}
# As much of an object as answers are made from, where others change more often.
_SEEN: Final[dict[type[MeshObject], Callable[..., object]]] = {
    Pod: lambda pod: (pod.meshed, pod.labels, pod.inbound),
    ExternalWorkload: lambda workload: (workload.labels, workload.inbound),
    Namespace: lambda namespace: namespace.annotations.get(DEFAULT_POLICY, ""),
    # Their statuses are written by us.
    HTTPRoute: lambda route: (route.parents, route.hostnames, route.rules, route.created),
    GRPCRoute: lambda route: (route.parents, route.hostnames, route.rules, route.created),
}
