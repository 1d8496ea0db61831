"""GRPCRoutes as messages, and what holds of an egress network beside them."""

from __future__ import annotations

from linkerd2_py.controlplane.mesh.routes import (
    Failure,
    Filter,
    GRPCRoute,
    GRPCRule,
    HeaderModifier,
)
from linkerd2_py.controlplane.policy.outbound import annotated
from linkerd2_py.controlplane.policy.outbound.annotated import Retry, Timeouts
from linkerd2_py.controlplane.policy.outbound.backends import Destination, distribution
from linkerd2_py.controlplane.policy.outbound.messages import (
    RETRIED_BYTES,
    RETRY_BACKOFF,
    duration,
    failure_accrual,
    implicit,
    reference_to,
    timeouts,
)
from linkerd2_py.controlplane.policy.outbound.terms import Terms
from linkerd2_py.controlplane.policy.route_messages import (
    RouteError,
    failing_share,
    grpc_match,
    hosts,
    request_header_modifier,
)
from linkerd2_py.proto.gen import grpc_route_pb2 as grpc_route
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import outbound_pb2 as outbound

_PERMISSION_DENIED = 7
# As Linkerd, though it is a status of HTTP: proxies take it for one that they do not know.
_NO_BACKEND = 500


def grpc_route_message(route: GRPCRoute, *, terms: Terms) -> outbound.GrpcRoute:
    """Raises `RouteError` and `AnnotationError`."""
    own = annotated.timeouts(route.annotations)
    limits = terms.timeouts if own == Timeouts() else own
    retry = annotated.grpc_retry(route.annotations) or terms.grpc_retry
    return outbound.GrpcRoute(
        metadata=reference_to(route),
        failure_accrual=failure_accrual(terms.accrual_of(route)),
        hosts=hosts(route.hostnames),
        rules=[_rule(rule, limits=limits, retry=retry, terms=terms) for rule in route.rules],
    )


def default_grpc_route(terms: Terms) -> outbound.GrpcRoute:
    """Of an egress network: what no route is about, as it allows or denies."""
    denied = [_injector(_PERMISSION_DENIED, "traffic not allowed")]
    return outbound.GrpcRoute(
        metadata=implicit("grpc-egress-allow" if terms.place.allows else "grpc-egress-deny"),
        rules=[
            outbound.GrpcRoute.Rule(
                filters=[] if terms.place.allows else denied,
                backends=distribution(outbound.GrpcRoute, [], default=terms.default),
                requestTimeout=duration(terms.timeouts.request),
                timeouts=timeouts(terms.timeouts),
                retry=_retry(terms.grpc_retry),
            )
        ],
    )


def _rule(
    rule: GRPCRule, *, limits: Timeouts, retry: Retry | None, terms: Terms
) -> outbound.GrpcRoute.Rule:
    return outbound.GrpcRoute.Rule(
        matches=[grpc_match(one) for one in rule.matches],
        filters=[_filter(one) for one in rule.filters],
        backends=distribution(
            outbound.GrpcRoute,
            terms.destinations(rule.backends),
            default=terms.default,
            filters=_backend_filters,
        ),
        requestTimeout=duration(limits.request),
        timeouts=timeouts(limits),
        retry=_retry(retry),
        allow_l5d_request_headers=terms.cluster.allow_l5d_request_headers,
    )


def _backend_filters(found: Destination) -> list[outbound.GrpcRoute.Filter]:
    if found.problem:
        return [_injector(_NO_BACKEND, found.problem)]
    return [_filter(one) for one in found.declared.filters]


def _filter(found: Filter) -> outbound.GrpcRoute.Filter:
    if isinstance(found, HeaderModifier) and found.of == "request":
        return outbound.GrpcRoute.Filter(request_header_modifier=request_header_modifier(found))
    if isinstance(found, Failure):
        return _injector(found.status, found.message, ratio=failing_share(found))
    raise RouteError("of gRPC calls only the headers of requests can be modified")


def _injector(
    code: int, message: str, *, ratio: http_route.Ratio | None = None
) -> outbound.GrpcRoute.Filter:
    """Of all calls, where no ratio is said."""
    injector = grpc_route.GrpcFailureInjector(code=code, message=message, ratio=ratio)
    return outbound.GrpcRoute.Filter(failure_injector=injector)


def _retry(found: Retry | None) -> outbound.GrpcRoute.Retry | None:
    if found is None:
        return None
    return outbound.GrpcRoute.Retry(
        max_retries=found.limit,
        max_request_bytes=RETRIED_BYTES,
        conditions=outbound.GrpcRoute.Retry.Conditions(
            cancelled="cancelled" in found.codes,
            deadine_exceeded="deadline-exceeded" in found.codes,
            resource_exhausted="resource-exhausted" in found.codes,
            internal="internal" in found.codes,
            unavailable="unavailable" in found.codes,
        ),
        timeout=duration(found.timeout_ms),
        backoff=RETRY_BACKOFF,
    )
