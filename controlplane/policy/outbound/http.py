"""HTTPRoutes as messages, and what holds without any."""

from __future__ import annotations

from dataclasses import replace

from linkerd2_py.controlplane.mesh.routes import (
    Failure,
    Filter,
    HeaderModifier,
    HTTPRoute,
    HTTPRule,
    Redirect,
    Rewrite,
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
    hosts,
    http_match,
    redirect,
    request_header_modifier,
    response_header_modifier,
    rewrite,
)
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import outbound_pb2 as outbound


def http_route_message(route: HTTPRoute, *, terms: Terms) -> outbound.HttpRoute:
    """Raises `RouteError` and `AnnotationError`."""
    said = annotated.timeouts(route.annotations)
    retry = annotated.http_retry(route.annotations) or terms.http_retry
    return outbound.HttpRoute(
        metadata=reference_to(route),
        failure_accrual=failure_accrual(terms.accrual_of(route)),
        hosts=hosts(route.hostnames),
        rules=[_rule(rule, said=said, retry=retry, terms=terms) for rule in route.rules],
    )


def default_http_route(terms: Terms) -> outbound.HttpRoute:
    """What holds where no route does: for services all of it goes there, for egress networks what
    they allow.
    """
    allows = terms.place.allows
    egress = "http-egress-allow" if allows else "http-egress-deny"
    everything = http_route.HttpRouteMatch(path=http_route.PathMatch(prefix="/"))
    return outbound.HttpRoute(
        metadata=implicit(egress if terms.place.is_egress else "http"),
        rules=[
            outbound.HttpRoute.Rule(
                matches=[everything],
                filters=[] if allows else [_injector(403, "traffic not allowed")],
                backends=distribution(outbound.HttpRoute, [], default=terms.default),
                requestTimeout=duration(terms.timeouts.request),
                timeouts=timeouts(terms.timeouts),
                retry=_retry(terms.http_retry),
            )
        ],
    )


def _rule(
    rule: HTTPRule, *, said: Timeouts, retry: Retry | None, terms: Terms
) -> outbound.HttpRoute.Rule:
    own = said if said.request is not None else replace(said, request=rule.timeout_ms or None)
    limits = terms.timeouts if own == Timeouts() else own
    return outbound.HttpRoute.Rule(
        matches=[http_match(one) for one in rule.matches],
        filters=[_rule_filter(one, terms) for one in rule.filters],
        backends=distribution(
            outbound.HttpRoute,
            terms.destinations(rule.backends),
            default=terms.default,
            filters=_backend_filters,
        ),
        requestTimeout=duration(limits.request),
        timeouts=timeouts(limits),
        retry=_retry(retry),
        allow_l5d_request_headers=terms.cluster.allow_l5d_request_headers,
    )


def _backend_filters(found: Destination) -> list[outbound.HttpRoute.Filter]:
    if found.problem:
        return [_injector(500, found.problem)]
    return [_filter(one) for one in found.declared.filters]


def _rule_filter(found: Filter, terms: Terms) -> outbound.HttpRoute.Filter:
    """Requests go unchanged past a proxy that does not know of rewrites: it gets no route that has some."""
    if isinstance(found, Rewrite) and terms.able.rewrites:
        return outbound.HttpRoute.Filter(url_rewrite=rewrite(found))
    return _filter(found)


def _filter(found: Filter) -> outbound.HttpRoute.Filter:
    match found:
        case HeaderModifier(of="request"):
            return outbound.HttpRoute.Filter(request_header_modifier=request_header_modifier(found))
        case HeaderModifier():
            return outbound.HttpRoute.Filter(
                response_header_modifier=response_header_modifier(found)
            )
        case Redirect():
            return outbound.HttpRoute.Filter(redirect=redirect(found))
        case Failure():
            return _injector(found.status, found.message, ratio=failing_share(found))
    raise RouteError(f"{found.type} filters are not supported")


def _injector(
    status: int, message: str, *, ratio: http_route.Ratio | None = None
) -> outbound.HttpRoute.Filter:
    """Of all requests, where no ratio is said."""
    injector = http_route.HttpFailureInjector(status=status, message=message, ratio=ratio)
    return outbound.HttpRoute.Filter(failure_injector=injector)


def _retry(found: Retry | None) -> outbound.HttpRoute.Retry | None:
    if found is None:
        return None
    conditions = outbound.HttpRoute.Retry.Conditions
    ranges = [conditions.StatusRange(start=first, end=last) for first, last in found.statuses]
    return outbound.HttpRoute.Retry(
        max_retries=found.limit,
        max_request_bytes=RETRIED_BYTES,
        conditions=conditions(status_ranges=ranges),
        timeout=duration(found.timeout_ms),
        backoff=RETRY_BACKOFF,
    )
