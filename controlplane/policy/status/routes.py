"""The status of a route: at each of its parents, whether that takes it and whether its backends are there."""

from __future__ import annotations

from collections.abc import Iterator

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.routes import Backend, Object, Route
from linkerd2_py.controlplane.mesh.status import CONTROLLER, Condition, Parent, ParentStatus
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.attachment import attachment
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.status.conditions import listed, same, written
from linkerd2_py.controlplane.policy.status.topics import object_topic, routes_topic
from linkerd2_py.controlplane.streams.topics import Topic

_RESOLVED = Condition("ResolvedRefs", holds=True, reason="ResolvedRefs")
_NOT_FOUND = Condition("ResolvedRefs", holds=False, reason="BackendNotFound")
_UNKNOWN_KIND = Condition("ResolvedRefs", holds=False, reason="InvalidKind")
_WRONG_NETWORK = Condition(
    "ResolvedRefs",
    holds=False,
    reason="InvalidKind",
    message="EgressNetwork backend needs to be on a route that has an EgressNetwork parent",
)


def said_of_route(route: Route) -> frozenset[ParentStatus]:
    """What its status says now."""
    return frozenset(route.statuses)


def wanted_of_route(route: Route, *, mesh: Mesh, cluster: Cluster) -> frozenset[ParentStatus]:
    """What it should say."""
    return frozenset(_statuses(route, mesh=mesh, cluster=cluster))


def status_of_route(
    route: Route, found: Json, *, mesh: Mesh, cluster: Cluster, now: str
) -> Json | None:
    """The status of the object `found` with our words in it, beside those of other controllers; None where it
    says all of that.
    """
    before = listed(found, "status", "parents")
    others = [one for one in before if one.get("controllerName") != CONTROLLER]
    ours = [one for one in before if one.get("controllerName") == CONTROLLER]
    wanted = [
        _written(one, before=ours, now=now) for one in _statuses(route, mesh=mesh, cluster=cluster)
    ]
    if same(_ordered(ours), _ordered(wanted)):
        return None
    return {"parents": others + wanted}


def topics_of_route(route: Route) -> Iterator[Topic]:
    """What its status depends on beside itself."""
    for parent in route.attached_to:
        yield object_topic(parent)
        yield routes_topic(parent)
    yield from map(object_topic, route.leads_to)


def _statuses(route: Route, *, mesh: Mesh, cluster: Cluster) -> Iterator[ParentStatus]:
    """Of each parent that is ours to speak of."""
    for parent in dict.fromkeys(route.parents):
        accepted = attachment(route, parent, mesh=mesh, cluster=cluster)
        if accepted and parent.kind == "Server":
            yield ParentStatus(parent, (accepted,))
        elif accepted:
            yield ParentStatus(parent, (accepted, _resolved(route, parent, mesh=mesh)))


def _resolved(route: Route, parent: Parent, *, mesh: Mesh) -> Condition:
    """What is wrong with the first backend that something is wrong with."""
    problems = (_problem(backend, parent, mesh=mesh) for backend in route.backends)
    return next((problem for problem in problems if problem), _RESOLVED)


def _problem(backend: Backend, parent: Parent, *, mesh: Mesh) -> Condition | None:
    key = Key(backend.namespace, backend.name)
    match backend.kind:
        case "Service":
            return None if key in mesh.services else _NOT_FOUND
        case "EgressNetwork":
            if key not in mesh.egress_networks:
                return _NOT_FOUND
            at_home = Object(parent.kind, parent.namespace, parent.name) == backend.object
            return None if at_home else _WRONG_NETWORK
    return _UNKNOWN_KIND


def _written(status: ParentStatus, *, before: list[Json], now: str) -> Json:
    parent = status.parent
    reference: Json = {
        "group": parent.group,
        "kind": parent.kind,
        "namespace": parent.namespace,
        "name": parent.name,
    }
    if parent.port:
        reference["port"] = parent.port
    said = next((one for one in before if same(one.get("parentRef"), reference)), {})
    return {
        "parentRef": reference,
        "controllerName": CONTROLLER,
        "conditions": written(status.conditions, before=said.get("conditions"), now=now),
    }


def _ordered(parents: list[Json]) -> list[Json]:
    return sorted(parents, key=lambda one: str(sorted((one.get("parentRef") or {}).items())))
