"""Routes of outbound policy as a table that the engine follows. Compiling gives way to traffic after each
millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from linkerd2_py._ext.exchange.plan import Plan, Refusal
from linkerd2_py._ext.exchange.ways import Split
from linkerd2_py._ext.exchange.ways import Way as EngineWay
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.routes import RetryMetrics, RouteMetrics
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.match import Condition
from linkerd2_py._ext.policy.route_table import RouteTable, TableDraft
from linkerd2_py._ext.route.target import Target
from linkerd2_py.proxy.discovery.gently import gently
from linkerd2_py.proxy.discovery.messages import Labels
from linkerd2_py.proxy.discovery.outbound_routes import (
    Destination,
    HttpRoutes,
    Routes,
    Rule,
)
from linkerd2_py.proxy.discovery.ways import Balanced, Direct, Refused, Way
from linkerd2_py.proxy.matches import condition_of
from linkerd2_py.proxy.patterns import Patterns

PlanOf = Callable[[Rule, Routes], Plan]
TargetOf = Callable[[Way], Target | None]
"""The target that a way leads to; None: the one that requests are addressed to."""

NO_ROUTE: Final = Refused(404, "no route matches")
_NO_BACKEND: Final = Refused(500, "the route has no backend")


async def compile_table(routes: HttpRoutes, *, plan_of: PlanOf) -> RouteTable:
    """Its requests follow the plan of their rule; those that no rule means are refused. ValueError for a
    pattern that cannot be compiled.
    """
    patterns = Patterns()
    draft = TableDraft(otherwise=refusing(NO_ROUTE))
    if routes.of_http2 is not None:
        of_http2 = match.http2()
        async for condition, plan in gently(_rules(routes.of_http2, patterns, plan_of)):
            draft.add(match.all_of([of_http2, condition]), plan)
        draft.add(of_http2, refusing(NO_ROUTE))
    async for condition, plan in gently(_rules(routes.routes, patterns, plan_of)):
        draft.add(condition, plan)
    return draft.finished()


def refusing(refused: Refused) -> Plan:
    """All requests."""
    return Plan(refusal=Refusal(refused.status, refused.text, code=refused.code))


def leads_to(routes: HttpRoutes) -> set[Balanced | Direct]:
    """All ways of all rules that lead somewhere."""
    both = (routes.routes, routes.of_http2)
    rules = [rule for one in both if one is not None for rule in one.rules]
    ways = [one.way for rule in rules for one in rule.destinations]
    return {way for way in ways if not isinstance(way, Refused)}


def _rules(routes: Routes, patterns: Patterns, plan_of: PlanOf) -> Iterable[tuple[Condition, Plan]]:
    plans: dict[tuple[int, int | None], Plan] = {}
    for step in routes.steps:
        rule, beginning = routes.rules[step.rule], step.match.beginning
        key = step.rule, beginning if rule.replaces_beginning else None
        if key not in plans:
            plans[key] = plan_of(rule.at(beginning), routes)
        yield condition_of(step.match, patterns=patterns), plans[key]


class RulePlans:
    """Plans of rules: their requests go to one of their backends, or are refused; and are counted.
    `registry`: None counts nothing.
    """

    def __init__(self, *, target_of: TargetOf, registry: Registry | None) -> None:
        self._target_of = target_of
        self._registry = registry

    def plan(self, rule: Rule, routes: Routes) -> Plan:
        """Of a rule of these routes."""
        labels = (*routes.parent.labels("parent"), *rule.route.names("route"))
        route = self._metrics(labels, routes)
        refusal = rule.filters.refusal()
        if not rule.destinations:
            nowhere = Split([EngineWay(refusal=Refusal(_NO_BACKEND.status, _NO_BACKEND.text))])
            return Plan(refusal=refusal, ways=nowhere, route=route)
        again = rule.tries.again
        ways = [
            self._way(
                one,
                self._metrics((*labels, *one.backend.labels("backend")), routes, of=True),
            )
            for one in rule.destinations
        ]
        return Plan(
            refusal=refusal,
            ways=Split(ways),
            route=route,
            request_edits=rule.filters.request_edits(),
            response_edits=rule.filters.response_edits(),
            timeouts=rule.tries.limits.made(),
            retry=None if again is None else again.made(metrics=self._of_retries(labels, routes)),
            heeds_headers=rule.tries.heeds_headers,
        )

    def _of_retries(self, labels: Labels, routes: Routes) -> RetryMetrics | None:
        if self._registry is None:
            return None
        return RetryMetrics(self._registry, labels, grpc=routes.grpc)

    def _metrics(self, labels: Labels, routes: Routes, *, of: bool = False) -> RouteMetrics | None:
        if self._registry is None:
            return None
        return RouteMetrics(self._registry, labels, grpc=routes.grpc, of_backend=of)

    def _way(self, destination: Destination, metrics: RouteMetrics | None) -> EngineWay:
        way, weight = destination.way, destination.weight
        if isinstance(way, Refused):
            refusal = Refusal(way.status, way.text, code=way.code)
            return EngineWay(weight=weight, refusal=refusal, metrics=metrics)
        return EngineWay(
            self._target_of(way),
            weight=weight,
            refusal=destination.filters.refusal(),
            metrics=metrics,
            request_edits=destination.filters.request_edits(),
            response_edits=destination.filters.response_edits(),
        )
