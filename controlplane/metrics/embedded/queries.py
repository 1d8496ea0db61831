"""The questions of `MetricsStore`, answered from the samples in memory with Prometheus' arithmetic.

Latencies are those of the window that is named. Linkerd's tools ask for `irate`, the last two samples of the
window: ten seconds of slow answers are then forgotten a scrape after they ended. Who wants its figures asks
for a window of two or three scrapes (`-t 5s`), where both are the same.

Tested for equality against a real Prometheus.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.metrics.embedded.ring import Batch, SampleStore, Span
from linkerd2_py.controlplane.metrics.store import Group, Selection, Window

# How long Prometheus looks back for the newest sample of an instant vector.
LOOKBACK_MS = 300_000
# Prometheus extrapolates to a boundary that is at most this many sample distances away.
_EXTRAPOLATE_WITHIN = 1.1
_BROKEN = (math.nan, math.nan)


async def sum_increase(
    samples: SampleStore, family: str, *, selection: Selection, window: Window
) -> dict[Group, float]:
    """By how much counters grew in the window, summed by group."""
    sums: dict[Group, float] = {}
    async for some in in_slices(samples.batches(family)):
        _add_increases(sums, some, selection=selection, window=window)
    return sums


async def sum_latest(
    samples: SampleStore, family: str, *, selection: Selection, at_ms: int
) -> dict[Group, float]:
    """The newest values of gauges, summed by group."""
    sums: dict[Group, float] = {}
    async for some in in_slices(samples.batches(family)):
        for group, series in some.select(selection):
            value = series.latest(start_ms=at_ms - LOOKBACK_MS, end_ms=at_ms)
            if value is not None:
                sums[group] = sums.get(group, 0.0) + value
    return sums


async def quantiles(
    samples: SampleStore,
    family: str,
    *,
    selection: Selection,
    window: Window,
    wanted: Sequence[float],
) -> dict[Group, tuple[float, ...]]:
    """Quantiles of what histograms observed in the window, in their unit, by group; NaN where that is
    nothing.
    """
    by_bound = replace(selection, group_by=(*selection.group_by, "le"))
    # By bound as a number: proxies may write the same one as 1 and as 1.0.
    buckets: dict[Group, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    # A rate is an increase divided by the window, which no quantile depends on.
    counts = await sum_increase(samples, family, selection=by_bound, window=window)
    async for group, count in in_slices(counts.items()):
        upper = _bound(group[-1])
        if upper is not None:
            buckets[group[:-1]][upper] += count
    return {
        group: tuple([histogram_quantile(quantile, tuple(pairs.items())) for quantile in wanted])
        async for group, pairs in in_slices(buckets.items())
    }


def increase(span: Span | None, *, window: Window) -> float | None:
    """Prometheus' increase of one counter; None for fewer than two samples."""
    if span is None:
        return None
    grown = span.last - span.first + span.lost
    since_zero_ms = math.inf
    if grown > 0 and span.first >= 0:
        # A counter cannot have been below zero: it began there at the earliest.
        since_zero_ms = (span.last_ms - span.first_ms) * (span.first / grown)
    return grown * _stretch(
        span.first_ms,
        span.last_ms,
        samples=span.samples,
        window=window,
        since_zero_ms=since_zero_ms,
    )


def _stretch(
    first_ms: int, last_ms: int, *, samples: int, window: Window, since_zero_ms: float = math.inf
) -> float:
    """How many times as much as between its samples a counter grew in the whole window."""
    sampled = last_ms - first_ms
    distance = sampled / (samples - 1)
    covered = float(sampled)
    for gap in (min(first_ms - window.start_ms, since_zero_ms), window.end_ms - last_ms):
        covered += gap if gap < distance * _EXTRAPOLATE_WITHIN else distance / 2
    return covered / sampled


def _add_increases(
    sums: dict[Group, float], some: Batch, *, selection: Selection, window: Window
) -> None:
    """What `increase` says of each series, more quickly for the many that have no break between the same two
    scrapes.
    """
    start_ms, end_ms = window.start_ms, window.end_ms
    low, high = some.timeline.within(start_ms=start_ms, end_ms=end_ms)
    if low >= high:
        return
    first_ms, last_ms = some.timeline.times[low], some.timeline.times[high]
    sampled_ms, to_start_ms = last_ms - first_ms, first_ms - start_ms
    stretch = _stretch(first_ms, last_ms, samples=high - low + 1, window=window)
    for group, series in some.select(selection):
        first, last = series.ends(low, high) or _BROKEN
        grown = last - first
        # Not true either where it is broken, or so young that it began at zero within the window.
        if grown * to_start_ms <= first * sampled_ms:
            sums[group] = sums.get(group, 0.0) + grown * stretch
        else:
            found = increase(series.span(start_ms=start_ms, end_ms=end_ms), window=window)
            if found is not None:
                sums[group] = sums.get(group, 0.0) + found


def histogram_quantile(quantile: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Prometheus' estimate from cumulative (upper bound, count) pairs; NaN without observations."""
    cumulative = _monotonic(sorted(buckets))
    if len(cumulative) < 2 or not math.isinf(cumulative[-1][0]) or cumulative[-1][1] <= 0:
        return math.nan
    rank = quantile * cumulative[-1][1]
    index = next(i for i, (_, count) in enumerate(cumulative) if count >= rank)
    upper, count = cumulative[index]
    if index == len(cumulative) - 1:
        return cumulative[-2][0]
    if index == 0 and upper <= 0:
        return upper
    lower, below = cumulative[index - 1] if index else (0.0, 0.0)
    return lower + (upper - lower) * ((rank - below) / (count - below))


def _monotonic(buckets: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    # Buckets of one histogram are scraped together, but their groups are summed apart.
    highest = -math.inf
    result = []
    for bound, count in buckets:
        highest = max(highest, count)
        result.append((bound, highest))
    return result


def _bound(text: str) -> float | None:
    """None for what no observation could be below."""
    try:
        bound = float(text)
    except ValueError:
        return None
    return bound if bound > -math.inf else None
