"""Requests of a selection, as people ask for them: how many ended well, how many did not, how long they
took.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.metrics.families import LATENCIES, RESPONSES
from linkerd2_py.controlplane.metrics.store import Group, MetricsStore, Selection, Window

QUANTILES: Final = (0.5, 0.95, 0.99)


class ListedRequests(TypedDict):
    """Over the window: counts as Prometheus extrapolates them, rates a second, latencies in ms."""

    success: float
    failure: float
    success_rate: float
    rps: float
    latency_ms_p50: int
    latency_ms_p95: int
    latency_ms_p99: int


@dataclass(slots=True)
class Requests:
    """Of one row over the window, as they are summed up."""

    window_s: float
    success: float = 0.0
    failure: float = 0.0
    latencies_ms: Sequence[int] = (0, 0, 0)

    @property
    def total(self) -> float:
        """All of them."""
        return self.success + self.failure

    @property
    def success_rate(self) -> float:
        """The share that ended well; 0 of none, as Linkerd has it."""
        return self.success / self.total if self.total else 0.0

    @property
    def rps(self) -> float:
        """Requests a second."""
        return self.total / self.window_s

    def add(self, count: float, *, classification: str) -> None:
        """Some more, by how the proxy classified them."""
        if classification == "success":
            self.success += count
        else:
            self.failure += count

    def requests(self) -> ListedRequests:
        """As they are answered."""
        p50, p95, p99 = self.latencies_ms
        return {
            "success": self.success,
            "failure": self.failure,
            "success_rate": self.success_rate,
            "rps": self.rps,
            "latency_ms_p50": p50,
            "latency_ms_p95": p95,
            "latency_ms_p99": p99,
        }


async def requests_of(
    selection: Selection,
    *,
    metrics: MetricsStore,
    window: Window,
    responses: str = RESPONSES,
    latencies: str = LATENCIES,
) -> Mapping[Group, Requests]:
    """By group, from two families of counters and of buckets in milliseconds."""
    by_outcome = replace(selection, group_by=(*selection.group_by, "classification"))
    counts, quantiles = await asyncio.gather(
        metrics.sum_increase(responses, selection=by_outcome, window=window),
        metrics.quantiles(latencies, selection=selection, window=window, wanted=QUANTILES),
    )
    found: defaultdict[Group, Requests] = defaultdict(lambda: Requests(window.length_ms / 1000))
    async for (*group, classification), count in in_slices(counts.items()):
        found[tuple(group)].add(count, classification=classification)
    async for latency_group, values in in_slices(quantiles.items()):
        found[latency_group].latencies_ms = milliseconds(values)
    return found


def milliseconds(values: Sequence[float]) -> tuple[int, ...]:
    """Whole ones; 0 where nothing was observed."""
    return tuple([0 if math.isnan(value) else math.floor(value + 0.5) for value in values])
