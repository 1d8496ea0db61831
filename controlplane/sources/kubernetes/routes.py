"""Routes, and what else is said of outbound traffic: what is kept of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_network
from typing import Final

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.networks import Cidr, Network
from linkerd2_py.controlplane.mesh.objects import DEFAULT_OPAQUE_PORTS
from linkerd2_py.controlplane.mesh.routes import (
    CORE,
    GATEWAY,
    POLICY,
    Backend,
    Filter,
    GRPCMatch,
    GRPCRoute,
    GRPCRule,
    HeaderModifier,
    HTTPMatch,
    HTTPRoute,
    HTTPRule,
    PathMatch,
    Redirect,
    Rewrite,
    Rule,
    TCPRoute,
    TLSRoute,
    UnsupportedFilter,
    ValueMatch,
)
from linkerd2_py.controlplane.mesh.status import CONTROLLER, Condition, Parent, ParentStatus
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    annotation,
    items,
    key_of,
    mapping,
    number,
    ports_of,
    seconds,
    text,
    texts,
    traffic_annotations,
)

_OPAQUE_PORTS: Final = "config.linkerd.io/opaque-ports"
_SERVER: Final = "Server"
_KINDS: Final = {
    (CORE, "service"): "Service",
    (POLICY, "egressnetwork"): "EgressNetwork",
    (POLICY, "server"): _SERVER,
}
_DEFAULT_PATH: Final = PathMatch("PathPrefix", "/")
_EVERYTHING: Final = (HTTPMatch(_DEFAULT_PATH),)
_MILLISECONDS: Final = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION_PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|h|m|s)")


def read_http_route(found: Json, *, group: str) -> HTTPRoute:
    """An HTTPRoute of Gateway API or of Linkerd."""
    namespace, name = key_of(found)
    return HTTPRoute(
        group=group,
        namespace=namespace,
        name=name,
        parents=_parents(found, namespace=namespace, group=group),
        hostnames=texts(found, "spec", "hostnames"),
        created=_created(found),
        annotations=traffic_annotations(found),
        statuses=_statuses(found),
        rules=_http_rules(mapping(found, "spec"), namespace=namespace),
    )


def read_grpc_route(found: Json) -> GRPCRoute:
    """Of any version."""
    namespace, name = key_of(found)
    return GRPCRoute(
        namespace=namespace,
        name=name,
        parents=_parents(found, namespace=namespace),
        hostnames=texts(found, "spec", "hostnames"),
        created=_created(found),
        annotations=traffic_annotations(found),
        statuses=_statuses(found),
        rules=tuple(_grpc_rule(rule, namespace) for rule in items(found, "spec", "rules")),
    )


def read_tls_route(found: Json) -> TLSRoute:
    """Of any version."""
    namespace, name = key_of(found)
    return TLSRoute(
        namespace=namespace,
        name=name,
        parents=_parents(found, namespace=namespace),
        hostnames=texts(found, "spec", "hostnames"),
        created=_created(found),
        statuses=_statuses(found),
        rules=tuple(_rules(found, namespace=namespace)),
    )


def read_tcp_route(found: Json) -> TCPRoute:
    """Of any version."""
    namespace, name = key_of(found)
    return TCPRoute(
        namespace=namespace,
        name=name,
        parents=_parents(found, namespace=namespace),
        created=_created(found),
        statuses=_statuses(found),
        rules=tuple(_rules(found, namespace=namespace)),
    )


def read_egress_network(
    found: Json, *, default_opaque_ports: frozenset[int] = DEFAULT_OPAQUE_PORTS
) -> EgressNetwork:
    """One that says no traffic policy allows nothing; a network that is none is left out."""
    namespace, name = key_of(found)
    spec = mapping(found, "spec")
    listed = annotation(found, _OPAQUE_PORTS)
    return EgressNetwork(
        namespace,
        name,
        allows=text(spec, "trafficPolicy") == "Allow",
        networks=tuple(_networks(spec)) if spec.get("networks") is not None else None,
        created=_created(found),
        annotations=traffic_annotations(found),
        opaque_ports=default_opaque_ports if listed is None else ports_of(listed),
        conditions=read_conditions(mapping(found, "status")),
    )


def read_conditions(status: Json) -> tuple[Condition, ...]:
    """The conditions below `status`."""
    return tuple(
        Condition(
            text(one, "type"),
            holds=text(one, "status") == "True",
            reason=text(one, "reason"),
            message=text(one, "message"),
        )
        for one in items(status, "conditions")
    )


def read_parent(found: Json, *, namespace: str, group: str = GATEWAY) -> Parent:
    """A reference to a parent from an object of `namespace`, in the API group `group`; kinds that we know are
    spelled alike.
    """
    # What is left out the API server fills in so.
    group = (text(found, "group") if "group" in found else group).lower() or CORE
    kind = text(found, "kind") or "Gateway"
    kind = _KINDS.get((group, kind.lower()), kind)
    return Parent(
        group=group,
        kind=kind,
        namespace=text(found, "namespace") or namespace,
        name=text(found, "name"),
        # A Server is one port.
        port=0 if kind == _SERVER else number(found, "port"),
    )


def _parents(found: Json, *, namespace: str, group: str = GATEWAY) -> tuple[Parent, ...]:
    return tuple(
        read_parent(one, namespace=namespace, group=group)
        for one in items(found, "spec", "parentRefs")
    )


def _statuses(found: Json) -> tuple[ParentStatus, ...]:
    namespace, _ = key_of(found)
    return tuple(
        ParentStatus(
            read_parent(mapping(one, "parentRef"), namespace=namespace), read_conditions(one)
        )
        for one in items(found, "status", "parents")
        if text(one, "controllerName") == CONTROLLER
    )


def _http_rules(spec: Json, *, namespace: str) -> tuple[HTTPRule, ...]:
    # What is not said at all the API server fills in so; an empty list is said.
    if spec.get("rules") is None:
        return (HTTPRule(matches=_EVERYTHING),)
    return tuple(_http_rule(rule, namespace=namespace) for rule in items(spec, "rules"))


def _http_rule(found: Json, *, namespace: str) -> HTTPRule:
    matches = tuple(map(_http_match, items(found, "matches")))
    return HTTPRule(
        backends=_backends(found, namespace=namespace),
        matches=_EVERYTHING if found.get("matches") is None else matches,
        filters=_filters(found),
        timeout_ms=_duration(text(found, "timeouts", "request")),
    )


def _http_match(found: Json) -> HTTPMatch:
    path = _DEFAULT_PATH
    if mapping(found, "path"):
        kind = text(found, "path", "type") or _DEFAULT_PATH.kind
        path = PathMatch(kind, text(found, "path", "value") or _DEFAULT_PATH.value)
    return HTTPMatch(
        path=path,
        headers=_values(found, "headers"),
        query=_values(found, "queryParams"),
        method=text(found, "method"),
    )


def _grpc_rule(found: Json, namespace: str) -> GRPCRule:
    return GRPCRule(
        backends=_backends(found, namespace=namespace),
        matches=tuple(map(_grpc_match, items(found, "matches"))),
        filters=_filters(found),
    )


def _grpc_match(found: Json) -> GRPCMatch:
    return GRPCMatch(
        has_method=isinstance(found.get("method"), dict),
        service=text(found, "method", "service"),
        method=text(found, "method", "method"),
        regex=text(found, "method", "type") == "RegularExpression",
        headers=_values(found, "headers"),
    )


def _values(found: Json, field: str) -> tuple[ValueMatch, ...]:
    return tuple(
        ValueMatch(
            text(one, "name"), text(one, "value"), regex=text(one, "type") == "RegularExpression"
        )
        for one in items(found, field)
    )


def _rules(found: Json, *, namespace: str) -> Iterator[Rule]:
    for rule in items(found, "spec", "rules"):
        yield Rule(_backends(rule, namespace=namespace))


def _backends(found: Json, *, namespace: str) -> tuple[Backend, ...]:
    return tuple(_backend(one, namespace=namespace) for one in items(found, "backendRefs"))


def _backend(found: Json, *, namespace: str) -> Backend:
    group = text(found, "group").lower() or CORE
    kind = text(found, "kind") or "Service"
    return Backend(
        group=group,
        kind=_KINDS.get((group, kind.lower()), kind),
        namespace=text(found, "namespace") or namespace,
        name=text(found, "name"),
        port=number(found, "port"),
        # A weight of 0 is one that is said.
        weight=number(found, "weight") if found.get("weight") is not None else 1,
        filters=_filters(found),
    )


def _filters(found: Json) -> tuple[Filter, ...]:
    return tuple(map(_filter, items(found, "filters")))


def _filter(found: Json) -> Filter:
    match text(found, "type"):
        case "RequestHeaderModifier":
            return _header_modifier(mapping(found, "requestHeaderModifier"), response=False)
        case "ResponseHeaderModifier":
            return _header_modifier(mapping(found, "responseHeaderModifier"), response=True)
        case "RequestRedirect":
            return _redirect(mapping(found, "requestRedirect"))
        case "URLRewrite":
            return _rewrite(mapping(found, "urlRewrite"))
        case other:
            return UnsupportedFilter(other)


def _header_modifier(found: Json, *, response: bool) -> HeaderModifier:
    return HeaderModifier(
        of="response" if response else "request",
        adds=_headers(found, "add"),
        sets=_headers(found, "set"),
        removes=texts(found, "remove"),
    )


def _headers(found: Json, field: str) -> tuple[tuple[str, str], ...]:
    return tuple((text(one, "name"), text(one, "value")) for one in items(found, field))


def _rewrite(found: Json) -> Rewrite:
    return Rewrite(text(found, "hostname"), *_new_path(found))


def _new_path(found: Json) -> tuple[str, str]:
    """Of which kind it is."""
    kind = text(found, "path", "type")
    full = kind == "ReplaceFullPath"
    return kind, text(found, "path", "replaceFullPath" if full else "replacePrefixMatch")


def _redirect(found: Json) -> Redirect:
    kind, path = _new_path(found)
    return Redirect(
        scheme=text(found, "scheme"),
        hostname=text(found, "hostname"),
        path_kind=kind,
        path=path,
        port=number(found, "port"),
        status=number(found, "statusCode"),
    )


def _networks(spec: Json) -> Iterator[Network]:
    for one in items(spec, "networks"):
        cidr = read_cidr(text(one, "cidr"))
        if cidr is not None:
            excluded = map(read_cidr, texts(one, "except"))
            yield Network(cidr, tuple(cidr for cidr in excluded if cidr is not None))


def read_cidr(written: str) -> Cidr | None:
    """A network, or an address as the network of itself; None for what is neither."""
    try:
        return ip_network(written, strict=False)
    except ValueError:
        return None


def _duration(written: str) -> int:
    """As Gateway API writes durations (`1h2m3s4ms`), in milliseconds; 0 for what is none."""
    if not written or _DURATION_PART.sub("", written):
        return 0
    parts = _DURATION_PART.findall(written)
    return int(sum(float(amount) * _MILLISECONDS[unit] for amount, unit in parts))


def _created(found: Json) -> float:
    return seconds(text(found, "metadata", "creationTimestamp"))


read_gateway_http_route: Final = partial(read_http_route, group=GATEWAY)
read_linkerd_http_route: Final = partial(read_http_route, group=POLICY)
