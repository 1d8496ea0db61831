"""`/api/v1/stat-outbound`: what the outbound proxies of a resource saw, by the route of a service that a
request followed, and below each by the backends that it went to.

It is made of the families of routes that today's proxies have, for HTTP and for gRPC.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.metrics.families import ROUTES_OUT, RouteFamilies
from linkerd2_py.controlplane.metrics.store import Group, MetricsStore, Selection, Window
from linkerd2_py.controlplane.public_api.answers.stat_inbound import ProxiesAsked
from linkerd2_py.controlplane.public_api.answers.stat_query import own_labels
from linkerd2_py.controlplane.public_api.answers.traffic import (
    QUANTILES,
    ListedRequests,
    Requests,
    milliseconds,
)
from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.public_api.operation import Operation

_TIMEOUTS: Final = frozenset({"RESPONSE_HEADERS_TIMEOUT", "REQUEST_TIMEOUT"})
_ROUTE: Final = ("parent_name", "parent_port", "route_kind", "route_name")
_BACKEND: Final = ("backend_name", "backend_port")


class Answered(ListedRequests):
    """Requests, with the share that took too long."""

    timeout_rate: float


class BackendRow(TypedDict):
    """Requests of a route that went to one backend."""

    name: str
    port: str
    stats: Answered


class OutboundRow(TypedDict):
    """One route of one service, as one thing calls it. The rate of retries is null where nobody counts
    them.
    """

    namespace: str
    name: str
    service: str
    port: str
    route_kind: str
    route: str
    stats: Answered
    retry_rate: float | None
    backends: list[BackendRow]


class StatOutbound(TypedDict):
    """The answer, by namespace, name, service and route."""

    rows: list[OutboundRow]


@dataclass(slots=True)
class _Outcomes(Requests):
    timeouts: float = 0.0

    def answered(self) -> Answered:
        rate = self.timeouts / self.total if self.total else 0.0
        return {**self.requests(), "timeout_rate": rate}


@dataclass(slots=True)
class _Found:
    """Of all routes: what clients saw, retries, and the backends."""

    window_s: float
    routes: dict[Group, _Outcomes] = field(default_factory=dict)
    retries: dict[Group, float] = field(default_factory=dict)
    backends: dict[Group, dict[Group, _Outcomes]] = field(default_factory=dict)


class _Questions(NamedTuple):
    metrics: MetricsStore
    matching: Mapping[str, str]
    own: tuple[str, ...]
    window: Window

    async def counted(self, family: str, labels: Sequence[str]) -> Mapping[Group, float]:
        selection = Selection(self.matching, (*self.own, *labels))
        return await self.metrics.sum_increase(family, selection=selection, window=self.window)

    async def outcomes(
        self, statuses: str, durations: str, labels: Sequence[str], *, protocol: str
    ) -> Mapping[Group, _Outcomes]:
        """Seconds become milliseconds."""
        status = f"{protocol}_status"
        selection = Selection(self.matching, (*self.own, *labels))
        counts, quantiles = await asyncio.gather(
            self.counted(statuses, (*labels, status, "error")),
            self.metrics.quantiles(
                durations, selection=selection, window=self.window, wanted=QUANTILES
            ),
        )
        found: dict[Group, _Outcomes] = {}
        async for (*group, code, error), count in in_slices(counts.items()):
            sums = found.setdefault(tuple(group), _Outcomes(self.window.length_ms / 1000))
            sums.add(count, classification=_class(code, error, protocol=protocol))
            sums.timeouts += count if error in _TIMEOUTS else 0.0
        for counted, sums in found.items():
            seconds = quantiles.get(counted, ())
            sums.latencies_ms = milliseconds([each * 1000 for each in seconds]) or (0, 0, 0)
        return found


def stat_outbound(*, metrics: MetricsStore) -> Operation[ProxiesAsked]:
    """The operation."""

    async def answer(asked: ProxiesAsked) -> StatOutbound:
        window = asked.checked(metrics)
        own = ("namespace",) if asked.type is Kind.NAMESPACE else ("namespace", asked.type.label)
        questions = _Questions(metrics, own_labels(asked.resource), own, window)
        found = _Found(window.length_ms / 1000)
        for protocol, families in ROUTES_OUT.items():
            await _ask(questions, families, protocol=protocol, found=found)
        return {"rows": [_row(group, own=own, found=found) for group in sorted(found.routes)]}

    summary = "Success of calls, by route and backend"
    return Operation("/api/v1/stat-outbound", summary, ProxiesAsked, StatOutbound, answer)


async def _ask(
    questions: _Questions, families: RouteFamilies, *, protocol: str, found: _Found
) -> None:
    routes, backends, retries = await asyncio.gather(
        questions.outcomes(families.statuses, families.durations, _ROUTE, protocol=protocol),
        questions.outcomes(
            families.backend_statuses,
            families.backend_durations,
            (*_ROUTE, *_BACKEND),
            protocol=protocol,
        ),
        questions.counted(families.retries, _ROUTE),
    )
    found.routes.update({group: each for group, each in routes.items() if each.total})
    found.retries.update(retries)
    for group, each in backends.items():
        if each.total:
            found.backends.setdefault(group[:-2], {})[group[-2:]] = each


def _class(code: str, error: str, *, protocol: str) -> Literal["success", "failure"]:
    failed = code not in {"OK", "0"} if protocol == "grpc" else code.startswith("5")
    return "failure" if failed or error else "success"


def _row(group: Group, *, own: Sequence[str], found: _Found) -> OutboundRow:
    service, port, route_kind, route = group[len(own) :]
    outcomes, retries = found.routes[group], found.retries.get(group)
    return {
        "namespace": group[0],
        "name": group[len(own) - 1],
        "service": service,
        "port": port,
        "route_kind": route_kind,
        "route": route,
        "stats": outcomes.answered(),
        "retry_rate": None if retries is None else retries / (outcomes.total + retries),
        "backends": [
            {"name": name, "port": number, "stats": each.answered()}
            for (name, number), each in sorted(found.backends.get(group, {}).items())
        ],
    }
