"""What a profile says of requests, as plans that the engine follows: the metrics of each route, what its
responses count as, and of what goes out how long it may take and when it is sent again.

Profiles come from outside: a route that cannot be understood, or whose pattern is not supported, means no
request at all rather than more than was meant. Compiling gives way to traffic after each millisecond.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from linkerd2_py._ext.exchange.plan import Plan, ResponseClasses
from linkerd2_py._ext.exchange.retry import Budget, Retry
from linkerd2_py._ext.exchange.timeouts import Timeouts
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.routes import RetryMetrics
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.match import Condition
from linkerd2_py._ext.policy.route_table import RouteTable, TableDraft
from linkerd2_py._ext.policy.rules import RULES_MAX
from linkerd2_py.base.tasks import spawn
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proxy.addresses import Authority
from linkerd2_py.proxy.discovery.gently import gently
from linkerd2_py.proxy.discovery.messages import Labels, Profile, RetryBudget, labels_of
from linkerd2_py.proxy.discovery.tries import LONGEST_NS
from linkerd2_py.proxy.patterns import Patterns

logger = logging.getLogger(__name__)

Routes = Sequence[destination.Route]

OUTBOUND: Final = "outbound"
_STEPS_MAX: Final = 20_000
"""Of all its conditions: each request may be held against them."""
_CLASSES_MAX: Final = 100
_NESTED_MAX: Final = 40
_STATUSES: Final = 1000
_LOWEST_STATUS: Final = 100
_SERVER_ERRORS: Final = (1 << 600) - (1 << 500)
_MOST_RETRIES: Final = 65535
_OK: Final = 200
_EVERY: Final = (1 << _STATUSES) - (1 << _LOWEST_STATUS)
# A field whose name is no name in Python.
_NOT: Final = "not"


class ProfileRoutes:
    """The routes of one profile at a time. `install` gets a table whenever one is ready, None where there are
    no routes.
    """

    def __init__(
        self,
        install: Callable[[RouteTable | None], None],
        *,
        direction: str,
        registry: Registry,
    ) -> None:
        self._install = install
        self._direction = direction
        self._registry = registry
        self._known: tuple[object, ...] = ()
        self._budget: Budget | None = None
        self._task: asyncio.Task[None] | None = None

    def follow(self, profile: Profile, *, name: Authority) -> None:
        """Its routes from now on, for what is called `name`. The same again change nothing."""
        routes = profile.routes
        said = (one.SerializeToString(deterministic=True) for one in routes)
        key = (str(name), profile.budget, *said) if routes else ()
        if key == self._known:
            return
        if self._known[1:2] != key[1:2]:
            # What was earned stays where routes alone change.
            self._budget = self._make_budget(profile.budget)
        self._known = key
        self._stop()
        if routes:
            self._task = spawn(self._compile(tuple(routes), name), name=f"routes {name}")
        else:
            self._install(None)

    def close(self) -> None:
        """Nothing is installed any more. Idempotent."""
        self._stop()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _compile(self, routes: Routes, name: Authority) -> None:
        dst = (("direction", self._direction), ("dst", str(name)))
        table = await compile_routes(routes, dst=dst, registry=self._registry, budget=self._budget)
        logger.debug("%s: %d of %d routes", name, table.count, len(routes))
        self._install(table)

    def _make_budget(self, said: RetryBudget | None) -> Budget | None:
        if said is None or self._direction != OUTBOUND:
            return None
        return Budget(ratio=said.ratio, least=said.least, ttl_ns=round(said.ttl_s * 1e9))


async def compile_routes(
    routes: Routes, *, dst: Labels, registry: Registry, budget: Budget | None = None
) -> RouteTable:
    """Their table; requests that belong to none are counted without a name of a route. `budget`: of those
    that may be sent again, None: none may.
    """
    draft = TableDraft(otherwise=Plan(metrics=registry.requests("route_", dst)))
    patterns = Patterns()
    steps = 0
    if len(routes) > RULES_MAX:
        _complain(dst, f"{len(routes)} routes: those behind the first {RULES_MAX} mean no requests")
    async for route in gently(routes[:RULES_MAX]):
        try:
            condition = request_condition(route.condition, patterns=patterns)
            classes = response_classes(route.response_classes)
        except ValueError as error:
            _complain(dst, f"route {_name_of(route)!r} means no requests: {error}")
            continue
        steps += condition.size
        if steps > _STEPS_MAX:
            _complain(dst, "too many conditions: the routes that are left mean no requests")
            break
        own = tuple(labels_of(route.metrics_labels))
        labels = tuple((f"rt_{name}", value) for name, value in own)
        metrics = registry.requests("route_", (*dst, *labels))
        plan = Plan(
            metrics=metrics,
            classes=None if classes is None else classes.made(),
            # For whoever taps
            labels=own,
            **_paced(route, (*dst, *labels), classes, registry, budget),
        )
        draft.add(condition, plan)
    return draft.finished()


def request_condition(
    said: destination.RequestMatch, *, patterns: Patterns, depth: int = 0
) -> Condition:
    """ValueError for what cannot be understood. One part of it spoils the whole."""
    kind = said.WhichOneof("match")
    if depth > _NESTED_MAX:
        raise ValueError("its conditions are nested too deep")
    if kind in {"all", "any"}:
        parts = [
            request_condition(part, patterns=patterns, depth=depth + 1)
            for part in getattr(said, kind).matches
        ]
        return match.all_of(parts) if kind == "all" else match.any_of(parts)
    if kind == _NOT:
        part = request_condition(getattr(said, _NOT), patterns=patterns, depth=depth + 1)
        return match.inverse(part)
    if kind == "path":
        return match.path_regex(patterns.compiled(said.path.regex.strip()))
    if kind == "method":
        return match.method(_method(said.method).encode())
    raise ValueError("a condition says nothing")


class Classes(NamedTuple):
    """Sets of statuses, a bit each: those of which something is said, and the failures among them."""

    told: int
    failures: int

    def made(self) -> ResponseClasses:
        """As the engine has it."""
        return ResponseClasses(told=self.told, failures=self.failures)


def response_classes(said: Iterable[destination.ResponseClass]) -> Classes | None:
    """What statuses count as; the first class that means one decides. None where nothing is said."""
    told = failures = 0
    for one in tuple(said)[:_CLASSES_MAX]:
        statuses = _statuses(one.condition) & ~told
        told |= statuses
        if one.is_failure:
            failures |= statuses
    return Classes(told, failures) if told else None


def _paced(
    route: destination.Route,
    labels: Labels,
    classes: Classes | None,
    registry: Registry,
    budget: Budget | None,
) -> dict[str, Any]:
    """What its plan says of times and other tries: what goes out is sent for somebody, what comes in is not
    ours to send again (linkerd2-proxy).
    """
    if dict(labels)["direction"] != OUTBOUND:
        return {}
    # As far as the head of a response: what streams may take its time.
    head_ns = min(route.timeout.ToNanoseconds(), LONGEST_NS) if route.HasField("timeout") else 0
    found: dict[str, Any] = {"timeouts": Timeouts(head_ns=head_ns)} if head_ns > 0 else {}
    if route.is_retryable and budget is not None:
        metrics = RetryMetrics(registry, labels, of_profile=True)
        statuses, codes = failing(classes)
        found["retry"] = Retry(
            statuses=statuses, codes=codes, limit=_MOST_RETRIES, budget=budget, metrics=metrics
        )
        found["actual"] = registry.requests("route_actual_", labels)
    return found


def failing(classes: Classes | None) -> tuple[list[tuple[int, int]], tuple[int, ...]]:
    """The statuses, and gRPC's codes, that count as failures."""
    told, failures = classes or Classes(0, 0)
    failures |= _SERVER_ERRORS & ~told
    statuses = [(one, one) for one in range(_LOWEST_STATUS, 600) if failures >> one & 1]
    # gRPC's own status is looked at where nothing is said of what HTTP has for it.
    codes = () if told >> _OK & 1 else tuple(range(1, 17))
    return statuses, codes


def _method(said: http_types.HttpMethod) -> str:
    kind = said.WhichOneof("type")
    if kind == "registered":
        if said.registered not in http_types.HttpMethod.Registered.values():
            raise ValueError(f"{said.registered} is no method")
        return http_types.HttpMethod.Registered.Name(said.registered)
    if kind == "unregistered" and said.unregistered:
        return said.unregistered
    raise ValueError("a method has no name")


def _statuses(said: destination.ResponseMatch, depth: int = 0) -> int:
    """The set of statuses that it means, a bit each."""
    kind = said.WhichOneof("match")
    if depth > _NESTED_MAX:
        raise ValueError("its response classes are nested too deep")
    if kind in {"all", "any"}:
        found = _EVERY if kind == "all" else 0
        for part in getattr(said, kind).matches:
            statuses = _statuses(part, depth + 1)
            found = found & statuses if kind == "all" else found | statuses
        return found
    if kind == _NOT:
        return _EVERY & ~_statuses(getattr(said, _NOT), depth + 1)
    if kind == "status":
        return _range(said.status.min, said.status.max)
    raise ValueError("a response class says nothing")


def _range(lowest: int, highest: int) -> int:
    """Without one of its bounds, it is open there."""
    highest = highest or _STATUSES - 1
    if not lowest <= highest < _STATUSES:
        raise ValueError(f"no status is from {lowest} to {highest}")
    return _EVERY & ((1 << highest + 1) - (1 << max(lowest, _LOWEST_STATUS)))


def _name_of(route: destination.Route) -> str:
    return route.metrics_labels.get("route", "")[:100]


def _complain(dst: Labels, words: str) -> None:
    logger.warning("profile of %s: %s", dict(dst)["dst"], words)
