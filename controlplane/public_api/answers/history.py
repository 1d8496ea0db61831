"""`/api/v1/history`: how success, rate and latencies of one thing went over the last minutes, for charts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, TypedDict

from linkerd2_py.controlplane.metrics.families import LATENCIES, RESPONSES
from linkerd2_py.controlplane.metrics.store import (
    Group,
    MetricsStore,
    ProxyReports,
    Selection,
    Window,
)
from linkerd2_py.controlplane.public_api.answers.stat_query import (
    Length,
    StatQuery,
    parse_length,
    request_selection,
)
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import KIND_NAMES, Kind, Resource, parse_kind
from linkerd2_py.controlplane.public_api.operation import Operation, Parameter

QUANTILES: Final = (0.5, 0.95, 0.99)
MOST_POINTS: Final = 120
SCRAPES_OF_A_RATE: Final = 4
"""A point's rate is that of so many scrapes at least: fewer would show how they fell."""
_FIVE_MINUTES: Final = Length(300.0, "5m")


def parse_points(text: str) -> int:
    """How many values; raises `InvalidQueryError`."""
    count = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 2 <= count <= MOST_POINTS:
        raise InvalidQueryError(f"points: from 2 to {MOST_POINTS}, not {text[:40]!r}")
    return count


_TYPE = Parameter(
    "deploy, po, ns, svc, au …",
    parse_kind,
    [name for name in KIND_NAMES if name != Kind.ALL],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAsked:
    """What is asked."""

    type: Annotated[Kind, _TYPE]
    name: Annotated[str, Parameter("the thing of this name")]
    namespace: Annotated[str, Parameter("in this namespace")] = ""
    window: Annotated[Length, Parameter("how far back, e.g. 5m (the default)", parse_length)] = (
        _FIVE_MINUTES
    )
    points: Annotated[int, Parameter("how many values (60)", parse_points)] = 60


class Point(TypedDict):
    """What was so long ago; rates are null where there was no traffic."""

    ago_s: float
    rps: float
    success_rate: float | None
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    latency_ms_p99: float | None


class History(TypedDict):
    """The answer, the oldest first; each value is that of the last `rate_window_s`."""

    rate_window_s: float
    points: list[Point]


def history(metrics: MetricsStore, *, reports: ProxyReports) -> Operation[HistoryAsked]:
    """The operation."""

    async def answer(asked: HistoryAsked) -> History:
        if asked.type is Kind.ALL:
            raise InvalidQueryError("resource type 'all' has no history")
        if asked.window.seconds > metrics.longest_window_s:
            kept = f"{metrics.longest_window_s:g}s"
            raise InvalidQueryError(f"time window {asked.window.text[:40]} is not kept: {kept} are")
        namespace = "" if asked.type is Kind.NAMESPACE else asked.namespace
        target = Resource(asked.type, namespace, asked.name)
        selection = request_selection(StatQuery(target, asked.window.seconds), kind=asked.type)
        return await _over_time(asked, selection=selection, metrics=metrics, reports=reports)

    summary = "Success, rate and latency over time"
    return Operation("/api/v1/history", summary, HistoryAsked, History, answer)


async def _over_time(
    asked: HistoryAsked, *, selection: Selection, metrics: MetricsStore, reports: ProxyReports
) -> History:
    step_ms = asked.window.seconds * 1000 / asked.points
    length_ms = int(max(step_ms, SCRAPES_OF_A_RATE * reports.interval_s * 1000))
    # All ends are multiples of the step: who asks again a moment later gets the same values.
    newest_ms = metrics.now_ms()
    last_ms = newest_ms - newest_ms % max(1.0, step_ms)
    points = []
    for back in range(asked.points - 1, -1, -1):
        end_ms = int(last_ms - back * step_ms)
        window = Window(end_ms, length_ms)
        ago_s = (newest_ms - end_ms) / 1000
        points.append(await _point(ago_s, selection=selection, metrics=metrics, window=window))
    return {"rate_window_s": length_ms / 1000, "points": points}


async def _point(
    ago_s: float, *, selection: Selection, metrics: MetricsStore, window: Window
) -> Point:
    alone = _grouped(selection)
    counts = await metrics.sum_increase(
        RESPONSES, selection=_grouped(selection, "classification"), window=window
    )
    found = await metrics.quantiles(LATENCIES, selection=alone, window=window, wanted=QUANTILES)
    total = sum(counts.values())
    p50, p95, p99 = found.get((), (math.nan,) * len(QUANTILES))
    return {
        "ago_s": ago_s,
        "rps": total * 1000 / window.length_ms,
        "success_rate": _succeeded(counts) / total if total else None,
        "latency_ms_p50": _number(p50),
        "latency_ms_p95": _number(p95),
        "latency_ms_p99": _number(p99),
    }


def _grouped(selection: Selection, *labels: str) -> Selection:
    return Selection(selection.matching, labels, selection.present, selection.without)


def _succeeded(counts: Mapping[Group, float]) -> float:
    return sum(count for (outcome,), count in counts.items() if outcome == "success")


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
