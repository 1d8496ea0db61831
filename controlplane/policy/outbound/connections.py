"""TLSRoutes and TCPRoutes as messages, and what holds without any: of bytes that nobody parses."""

from __future__ import annotations

from linkerd2_py.controlplane.mesh.routes import Rule, TCPRoute, TLSRoute
from linkerd2_py.controlplane.policy.outbound.backends import Destination, distribution
from linkerd2_py.controlplane.policy.outbound.messages import (
    implicit,
    reference_to,
)
from linkerd2_py.controlplane.policy.outbound.terms import Terms
from linkerd2_py.controlplane.policy.route_messages import RouteError, reverse_labels
from linkerd2_py.proto.gen import opaque_route_pb2 as opaque_route
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proto.gen import tls_route_pb2 as tls_route


def tls_route_message(route: TLSRoute, *, terms: Terms) -> outbound.TlsRoute:
    """Raises `RouteError`."""
    backends = distribution(
        outbound.TlsRoute,
        terms.destinations(_only_rule(route).backends),
        default=terms.default,
        filters=_tls_filters,
    )
    return outbound.TlsRoute(
        metadata=reference_to(route),
        snis=[_sni(one) for one in route.hostnames],
        rules=[outbound.TlsRoute.Rule(backends=backends)],
    )


def opaque_route_message(route: TCPRoute, *, terms: Terms) -> outbound.OpaqueRoute:
    """Raises `RouteError`."""
    backends = distribution(
        outbound.OpaqueRoute,
        terms.destinations(_only_rule(route).backends),
        default=terms.default,
        filters=_opaque_filters,
    )
    return outbound.OpaqueRoute(
        metadata=reference_to(route), rules=[outbound.OpaqueRoute.Rule(backends=backends)]
    )


def default_tls_route(terms: Terms) -> outbound.TlsRoute:
    """Of an egress network: what no route is about, as it allows or denies."""
    denied = [outbound.TlsRoute.Filter(forbidden=opaque_route.Forbidden())]
    return outbound.TlsRoute(
        metadata=implicit("tls-egress-allow" if terms.place.allows else "tls-egress-deny"),
        rules=[
            outbound.TlsRoute.Rule(
                filters=[] if terms.place.allows else denied,
                backends=distribution(outbound.TlsRoute, [], default=terms.default),
            )
        ],
    )


def default_opaque_route(terms: Terms) -> outbound.OpaqueRoute:
    """What holds where no TCPRoute does: for services all of it goes there, for egress networks what
    they allow.
    """
    if not terms.place.is_egress:
        name = "opaq"
    else:
        name = "tcp-egress-allow" if terms.place.allows else "tcp-egress-deny"
    denied = [outbound.OpaqueRoute.Filter(forbidden=opaque_route.Forbidden())]
    return outbound.OpaqueRoute(
        metadata=implicit(name),
        rules=[
            outbound.OpaqueRoute.Rule(
                filters=[] if terms.place.allows else denied,
                backends=distribution(outbound.OpaqueRoute, [], default=terms.default),
            )
        ],
    )


def forbidden_route() -> outbound.OpaqueRoute:
    """Of a port that a service does not have."""
    distribution_of = outbound.OpaqueRoute.Distribution
    forbidden = outbound.OpaqueRoute.Filter(forbidden=opaque_route.Forbidden())
    return outbound.OpaqueRoute(
        metadata=implicit("undefined-port"),
        rules=[
            outbound.OpaqueRoute.Rule(
                filters=[forbidden], backends=distribution_of(empty=distribution_of.Empty())
            )
        ],
    )


def _only_rule(route: TLSRoute | TCPRoute) -> Rule:
    if len(route.rules) != 1:
        raise RouteError(f"a {route.kind} needs exactly one rule")
    return route.rules[0]


def _tls_filters(found: Destination) -> list[outbound.TlsRoute.Filter]:
    if not found.problem:
        return []
    return [outbound.TlsRoute.Filter(invalid=opaque_route.Invalid(message=found.problem))]


def _opaque_filters(found: Destination) -> list[outbound.OpaqueRoute.Filter]:
    if not found.problem:
        return []
    return [outbound.OpaqueRoute.Filter(invalid=opaque_route.Invalid(message=found.problem))]


def _sni(hostname: str) -> tls_route.SniMatch:
    labels = reverse_labels(hostname)
    if labels:
        return tls_route.SniMatch(suffix=tls_route.SniMatch.Suffix(reverse_labels=labels))
    return tls_route.SniMatch(exact=hostname)
