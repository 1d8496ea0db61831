"""The policy of what was asked: which protocol is expected, and which routes hold for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Final, TypeVar

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.controlplane.mesh.routes import GRPCRoute, HTTPRoute, Route, TCPRoute, TLSRoute
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.attachment import attached
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.outbound.annotated import AnnotationError
from linkerd2_py.controlplane.policy.outbound.backends import distribution, forward
from linkerd2_py.controlplane.policy.outbound.connections import (
    default_opaque_route,
    default_tls_route,
    forbidden_route,
    opaque_route_message,
    tls_route_message,
)
from linkerd2_py.controlplane.policy.outbound.grpc import default_grpc_route, grpc_route_message
from linkerd2_py.controlplane.policy.outbound.http import default_http_route, http_route_message
from linkerd2_py.controlplane.policy.outbound.messages import failure_accrual, implicit, reference
from linkerd2_py.controlplane.policy.outbound.resolve import Outside, Place, UndefinedPort
from linkerd2_py.controlplane.policy.outbound.targets import Abilities
from linkerd2_py.controlplane.policy.outbound.terms import Terms, terms_of
from linkerd2_py.controlplane.policy.route_messages import RouteError
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import outbound_pb2 as outbound

logger = logging.getLogger(__name__)
R = TypeVar("R", bound=Route)
M = TypeVar("M")
_DETECTED_WITHIN: Final = Duration(seconds=10)


def place_policy(
    place: Place, *, namespace: str, able: Abilities, mesh: Mesh, cluster: Cluster
) -> outbound.OutboundPolicy:
    """Of a port of a service or an egress network, as clients of a namespace see it whose proxies are
    `able`.
    """
    terms = terms_of(place, mesh=mesh, cluster=cluster, able=able)
    routes = _Routes(terms, namespace)
    return outbound.OutboundPolicy(
        protocol=_protocol(place.protocol, routes),
        metadata=reference(place.group, place.kind, *place.key, port=place.port),
    )


def undefined_port_policy(found: UndefinedPort) -> outbound.OutboundPolicy:
    """Nothing may be sent to a port that a service does not have."""
    opaque = outbound.ProxyProtocol.Opaque(routes=[forbidden_route()])
    return outbound.OutboundPolicy(
        protocol=outbound.ProxyProtocol(opaque=opaque),
        metadata=reference("core", "Service", *found.key, port=found.port),
    )


def outside_policy(found: Outside) -> outbound.OutboundPolicy:
    """Everything goes where it was going."""
    metadata = implicit("egress-fallback")
    backend = forward(found.address, port=found.port, metadata=metadata)
    http = outbound.HttpRoute.Rule(
        matches=[http_route.HttpRouteMatch()],
        backends=distribution(outbound.HttpRoute, [], default=backend),
    )
    opaque = outbound.OpaqueRoute.Rule(
        backends=distribution(outbound.OpaqueRoute, [], default=backend)
    )
    routes = [outbound.HttpRoute(metadata=metadata, rules=[http])]
    detect = outbound.ProxyProtocol.Detect(
        timeout=_DETECTED_WITHIN,
        opaque=outbound.ProxyProtocol.Opaque(
            routes=[outbound.OpaqueRoute(metadata=metadata, rules=[opaque])]
        ),
        http1=outbound.ProxyProtocol.Http1(routes=routes),
        http2=outbound.ProxyProtocol.Http2(routes=routes),
    )
    protocol = outbound.ProxyProtocol(detect=detect)
    return outbound.OutboundPolicy(protocol=protocol, metadata=metadata)


class _Routes:
    """The messages of the routes that hold at a place: of each kind in the order of precedence, followed by
    what an egress network allows. None where the cluster has none of a kind.
    """

    def __init__(self, terms: Terms, namespace: str) -> None:
        self.terms = terms
        self._namespace = namespace
        self.accrual = failure_accrual(terms.accrual)

    @cached_property
    def http(self) -> list[outbound.HttpRoute]:
        return self._of(HTTPRoute, http_route_message, beside=default_http_route)

    @cached_property
    def grpc(self) -> list[outbound.GrpcRoute]:
        return self._of(GRPCRoute, grpc_route_message, beside=default_grpc_route)

    @cached_property
    def tls(self) -> list[outbound.TlsRoute]:
        return self._of(TLSRoute, tls_route_message, beside=default_tls_route)

    @cached_property
    def tcp(self) -> list[outbound.OpaqueRoute]:
        """One at most: nothing could be chosen by."""
        return self._of(TCPRoute, opaque_route_message)[:1]

    def _of(
        self,
        kind: type[R],
        message: Callable[..., M],
        *,
        beside: Callable[[Terms], M] | None = None,
    ) -> list[M]:
        place = self.terms.place
        at_place = attached(
            kind, place.object, port=place.port, mesh=self.terms.mesh, cluster=self.terms.cluster
        )
        seen = {place.key.namespace, self._namespace}
        holding = [one for one in at_place if one.namespace in seen]
        found: list[M] = []
        for route in sorted(holding, key=self._precedence):
            try:
                found.append(message(route, terms=self.terms))
            except (RouteError, AnnotationError) as error:
                logger.warning("%s %s/%s is left out: %s", kind.kind, *route.key[2:], error)
        if found and beside and place.is_egress:
            found.append(beside(self.terms))
        return found

    def _precedence(self, route: Route) -> tuple[object, ...]:
        """Of routes that match alike, what the client's own namespace says goes before what the
        service's does, then the older before the younger.
        """
        of_service = route.namespace == self.terms.place.key.namespace
        return of_service, route.created, route.name, route.group


def _protocol(declared: str, routes: _Routes) -> outbound.ProxyProtocol:
    """Kinds of routes that are more of one protocol go before the others, as at their parents."""
    terms = routes.terms
    http = routes.http or [default_http_route(terms)]
    match declared:
        case "http1":
            return outbound.ProxyProtocol(http1=_http1(http, routes))
        case "http2" if not routes.grpc:
            return outbound.ProxyProtocol(http2=_http2(http, routes))
        case "opaque":
            return _opaque(routes.tcp or [default_opaque_route(terms)])
    if routes.grpc:
        grpc = outbound.ProxyProtocol.Grpc(routes=routes.grpc, failure_accrual=routes.accrual)
        return outbound.ProxyProtocol(grpc=grpc)
    if routes.tls and not routes.http:
        return outbound.ProxyProtocol(tls=outbound.ProxyProtocol.Tls(routes=routes.tls))
    if routes.tcp and not routes.http:
        return _opaque(routes.tcp)
    detect = outbound.ProxyProtocol.Detect(
        timeout=_DETECTED_WITHIN,
        opaque=outbound.ProxyProtocol.Opaque(routes=[default_opaque_route(terms)]),
        http1=_http1(http, routes),
        http2=_http2(http, routes),
    )
    return outbound.ProxyProtocol(detect=detect)


def _http1(http: list[outbound.HttpRoute], routes: _Routes) -> outbound.ProxyProtocol.Http1:
    return outbound.ProxyProtocol.Http1(routes=http, failure_accrual=routes.accrual)


def _http2(http: list[outbound.HttpRoute], routes: _Routes) -> outbound.ProxyProtocol.Http2:
    return outbound.ProxyProtocol.Http2(routes=http, failure_accrual=routes.accrual)


def _opaque(found: list[outbound.OpaqueRoute]) -> outbound.ProxyProtocol:
    return outbound.ProxyProtocol(opaque=outbound.ProxyProtocol.Opaque(routes=found))
