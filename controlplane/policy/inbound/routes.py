"""The routes of a port as messages: those that name its Server, or one of everything and, beside it, one of
the probes by which a kubelet asks, which is let in whatever the policies are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from linkerd2_py.controlplane.mesh.inbound import InboundSettings
from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.policy import Clients, Server, Target, TargetKind
from linkerd2_py.controlplane.mesh.routes import (
    Failure,
    Filter,
    GRPCRoute,
    HeaderModifier,
    HTTPRoute,
    HTTPRule,
    Redirect,
    Rewrite,
    Route,
    UnsupportedFilter,
)
from linkerd2_py.controlplane.policy.inbound import authorizations
from linkerd2_py.controlplane.policy.inbound.authorizations import Authorization
from linkerd2_py.controlplane.policy.inbound.messages import authorization_messages
from linkerd2_py.controlplane.policy.inbound.reading import Reading
from linkerd2_py.controlplane.policy.route_messages import (
    RouteError,
    grpc_match,
    hosts,
    http_match,
    method,
    redirect,
    request_header_modifier,
)
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.proto.gen import grpc_route_pb2 as grpc_route
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import meta_pb2 as meta

logger = logging.getLogger(__name__)
R = TypeVar("R", bound=Route)
M = TypeVar("M")

_EVERY_REQUEST: Final = http_route.HttpRouteMatch(path=http_route.PathMatch(prefix="/"))
_EVERY_CALL: Final = grpc_route.GrpcRouteMatch(rpc=grpc_route.GrpcRpcMatch())
_DEFAULT: Final = meta.Metadata(default="default")


def http_routes(
    server: Server, *, probed: Sequence[str], reading: Reading, settings: Settings
) -> list[inbound.HttpRoute]:
    """Those of a Server."""
    found = _messages(
        reading.http_routes(server.key), _http_route, reading=reading, settings=settings
    )
    return found or default_http_routes(probed, settings=settings)


def grpc_routes(server: Server, *, reading: Reading, settings: Settings) -> list[inbound.GrpcRoute]:
    """Those of a Server."""
    found = _messages(
        reading.grpc_routes(server.key), _grpc_route, reading=reading, settings=settings
    )
    rule = inbound.GrpcRoute.Rule(matches=[_EVERY_CALL])
    return found or [inbound.GrpcRoute(metadata=_DEFAULT, rules=[rule])]


def default_http_routes(probed: Sequence[str], *, settings: Settings) -> list[inbound.HttpRoute]:
    """For a port that no route is about, on which the paths `probed` are asked for."""
    rule = inbound.HttpRoute.Rule(matches=[_EVERY_REQUEST])
    everything = inbound.HttpRoute(metadata=_DEFAULT, rules=[rule])
    if not probed or not settings.probe_networks:
        return [everything]
    kubelets = Clients(tuple(map(Network, settings.probe_networks)))
    allowed = (Authorization("default", "probe", kubelets),)
    probes = inbound.HttpRoute(
        metadata=meta.Metadata(default="probe"),
        authorizations=authorization_messages(allowed, settings=settings),
        rules=[inbound.HttpRoute.Rule(matches=list(map(_probe, probed)))],
    )
    return [everything, probes]


def probed_paths(said: InboundSettings, *, port: int) -> list[str]:
    """What a kubelet asks for on a port."""
    return [probe.path for probe in said.probes if probe.port == port]


def _probe(path: str) -> http_route.HttpRouteMatch:
    return http_route.HttpRouteMatch(path=http_route.PathMatch(exact=path), method=method("GET"))


def _messages(
    routes: Iterable[R],
    message: Callable[..., M],
    *,
    reading: Reading,
    settings: Settings,
) -> list[M]:
    """In the order of Gateway API: the older before the younger, then by name. One that says what no proxy
    can do is as if it were not there.
    """
    found = []
    for route in sorted(routes, key=lambda one: (one.created, one.group, one.kind, one.name)):
        try:
            found.append(message(route, reading=reading, settings=settings))
        except RouteError as error:
            logger.warning("%s %s/%s is left out: %s", *route.key[1:], error)
    return found


def _http_route(route: HTTPRoute, *, reading: Reading, settings: Settings) -> inbound.HttpRoute:
    return inbound.HttpRoute(
        metadata=_metadata(route),
        hosts=hosts(route.hostnames),
        authorizations=_authorizations(route, reading=reading, settings=settings),
        rules=map(_http_rule, route.rules),
    )


def _http_rule(rule: HTTPRule) -> inbound.HttpRoute.Rule:
    filters = map(_http_filter, rule.filters)
    return inbound.HttpRoute.Rule(
        matches=map(http_match, rule.matches), filters=[one for one in filters if one is not None]
    )


def _http_filter(found: Filter) -> inbound.HttpRoute.Filter | None:
    """None for what is done to responses, which no inbound proxy does."""
    match found:
        case HeaderModifier(of="request"):
            return inbound.HttpRoute.Filter(request_header_modifier=request_header_modifier(found))
        case Redirect():
            return inbound.HttpRoute.Filter(redirect=redirect(found))
        case Failure():
            raise RouteError("requests are made to fail on their way out, not where they arrive")
        case Rewrite() | UnsupportedFilter():
            raise RouteError(f"no proxy applies the filter {found.type}")
    return None


def _grpc_route(route: GRPCRoute, *, reading: Reading, settings: Settings) -> inbound.GrpcRoute:
    rules = [
        inbound.GrpcRoute.Rule(
            matches=map(grpc_match, rule.matches),
            filters=[one for one in map(_grpc_filter, rule.filters) if one is not None],
        )
        for rule in route.rules
    ]
    return inbound.GrpcRoute(
        metadata=_metadata(route),
        hosts=hosts(route.hostnames),
        authorizations=_authorizations(route, reading=reading, settings=settings),
        rules=rules,
    )


def _grpc_filter(found: Filter) -> inbound.GrpcRoute.Filter | None:
    match found:
        case HeaderModifier(of="request"):
            return inbound.GrpcRoute.Filter(request_header_modifier=request_header_modifier(found))
        case Redirect() | Rewrite() | Failure() | UnsupportedFilter():
            raise RouteError("no proxy applies this filter to gRPC")
    return None


def _authorizations(route: Route, *, reading: Reading, settings: Settings) -> list[inbound.Authz]:
    kind: TargetKind = "GRPCRoute" if isinstance(route, GRPCRoute) else "HTTPRoute"
    target = Target(kind, route.name, route.group)
    found = authorizations.of_route(route.namespace, target, reading=reading)
    return authorization_messages(found, settings=settings)


def _metadata(route: Route) -> meta.Metadata:
    resource = meta.Resource(group=route.group, kind=route.kind, name=route.name)
    return meta.Metadata(resource=resource)
