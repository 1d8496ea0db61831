"""What a profile says of requests, as plans that the engine follows: the metrics of each route, and what its
responses count as.

Profiles come from outside: a route that cannot be understood, or whose pattern is not supported, means no
request at all rather than more than was meant. Compiling gives way to traffic after each millisecond.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from linkerd2_py._ext.exchange.plan import Plan, ResponseClasses
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.match import Condition
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.policy.rules import RULES_MAX
from linkerd2_py.base.tasks import spawn
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proxy.addresses import Authority
from linkerd2_py.proxy.discovery.gently import gently
from linkerd2_py.proxy.discovery.messages import Labels, labels_of
from linkerd2_py.proxy.patterns import Patterns

logger = logging.getLogger(__name__)

Routes = Sequence[destination.Route]

_STEPS_MAX: Final = 20_000
"""Of all its conditions: each request may be held against them."""
_CLASSES_MAX: Final = 100
_NESTED_MAX: Final = 40
_STATUSES: Final = 1000
_LOWEST_STATUS: Final = 100
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
        self._known: tuple[bytes, ...] = ()
        self._task: asyncio.Task[None] | None = None

    def follow(self, routes: Routes, *, name: Authority) -> None:
        """These from now on, for what is called `name`. The same again change nothing."""
        key = (str(name).encode(), *(one.SerializeToString(deterministic=True) for one in routes))
        if not routes:
            key = ()
        if key == self._known:
            return
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
        table = await compile_routes(routes, dst=dst, registry=self._registry)
        logger.debug("%s: %d of %d routes", name, table.count, len(routes))
        self._install(table)


async def compile_routes(routes: Routes, *, dst: Labels, registry: Registry) -> RouteTable:
    """Their table; requests that belong to none are counted without a name of a route."""
    rules: list[tuple[Condition, Plan]] = []
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
        plan = _plan((*dst, *labels), classes=classes, registry=registry, own=own)
        rules.append((condition, plan))
    return RouteTable(rules, otherwise=_plan(dst, classes=None, registry=registry))


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


def response_classes(said: Iterable[destination.ResponseClass]) -> ResponseClasses | None:
    """What statuses count as; the first class that means one decides. None where nothing is said."""
    told = failures = 0
    for one in tuple(said)[:_CLASSES_MAX]:
        statuses = _statuses(one.condition) & ~told
        told |= statuses
        if one.is_failure:
            failures |= statuses
    return ResponseClasses(told=told, failures=failures) if told else None


def _plan(
    labels: Labels,
    *,
    classes: ResponseClasses | None,
    registry: Registry,
    own: Labels | None = None,
) -> Plan:
    """`own`: the labels of its route, for whoever taps."""
    return Plan(metrics=registry.requests("route_", labels), classes=classes, labels=own)


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
