"""The samples of the last minutes, in memory: one timeline a scraped pod, one array of values a series.

All series of a pod share the times of its scrapes. A series that a scrape did not bring, and every series
when a scrape fails, gets a gap there, so that nothing is drawn on beyond its end.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, Self

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.names import LABEL_AUTHORITY, split_authority
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.metrics.embedded.exposition import (
    ExpositionError,
    parse_head,
    read_lines,
)
from linkerd2_py.controlplane.metrics.families import FAMILIES
from linkerd2_py.controlplane.metrics.store import Group, Selection

# Longer than any window the tools offer by default, and small: 8 bytes a sample.
RETENTION_S = 600.0
# A proxy bounds its own series far below; this bounds what a broken one can make us keep.
MOST_SERIES = 50_000
# Trimming looks at every series, so it is done once a minute rather than once a scrape.
TRIM_SLACK_MS = 60_000
# Series that are gone through in one step: at some microseconds each, a small part of a slice.
BATCH = 500
# Questions whose series a batch remembers: those of a few terminals that each ask the same every few seconds.
MOST_SELECTIONS = 8
GAP = math.nan
# What 64 bits count; what is beyond, infinity first of all, would spoil the sums that it is in, for
# everybody's answers.
LARGEST = 2.0**64


def now_ms(clock: Clock) -> int:
    """The time that samples of this moment get."""
    return int(clock.monotonic() * 1000)


class TooManySeriesError(ExpositionError):
    """The text has more series of interest than are kept for one pod."""


@dataclass(slots=True)
class Timeline:
    """When a pod was scraped: milliseconds of a clock that never goes back, rising.

    Not of the calendar: one that is set back would leave no place for new samples until it has caught up.
    Whole numbers, as in Prometheus: differences of seconds as floats are off by 1e-7.
    """

    times: array[int] = field(default_factory=lambda: array("q"))

    def within(self, *, start_ms: int, end_ms: int) -> tuple[int, int]:
        """The places of the first and the last scrape with start <= time <= end; the first is beyond the last
        where there is none.
        """
        times = self.times
        return bisect_left(times, start_ms), bisect_right(times, end_ms) - 1


class Span(NamedTuple):
    """What a window has of a counter: its first and last sample, how many there are, and what was `lost` in
    resets between.
    """

    first_ms: int
    first: float
    last_ms: int
    last: float
    samples: int
    lost: float = 0.0

    @classmethod
    def of(cls, samples: Sequence[tuple[int, float]]) -> Self | None:
        """From the samples themselves; None for fewer than two."""
        if len(samples) < 2:
            return None
        falls = (before for (_, before), (_, value) in pairwise(samples) if value < before)
        return cls(*samples[0], *samples[-1], len(samples), sum(falls))


@dataclass(slots=True)
class Series:
    """One series; `values` ends where its timeline ends and may begin later. From `unbroken_ms` on there are
    neither gaps nor resets.
    """

    name: str
    labels: Mapping[str, str]
    timeline: Timeline
    values: array[float] = field(default_factory=lambda: array("d"))
    unbroken_ms: int = 0

    def append(self, value: float, *, at_ms: int) -> None:
        """The sample of the newest time of its timeline."""
        # Also true where either is a gap.
        if not value >= (self.values[-1] if self.values else GAP):
            self.unbroken_ms = at_ms
        self.values.append(value)

    def window(self, *, start_ms: int, end_ms: int) -> list[tuple[int, float]]:
        """The samples with start <= time <= end as (time in ms, value), without gaps."""
        times, values = self.timeline.times, self.values
        offset = len(times) - len(values)
        low = max(bisect_left(times, start_ms), offset)
        high = bisect_right(times, end_ms)
        return [
            (times[at], values[at - offset])
            for at in range(low, high)
            if not math.isnan(values[at - offset])
        ]

    def span(self, *, start_ms: int, end_ms: int) -> Span | None:
        """What `window` has of a counter; where nothing broke it costs no more for a longer window."""
        times, values = self.timeline.times, self.values
        offset = len(times) - len(values)
        begin, high = self.timeline.within(start_ms=start_ms, end_ms=end_ms)
        low = max(begin, offset)
        if low >= high:
            return None
        if times[low] < self.unbroken_ms:
            return Span.of(self.window(start_ms=start_ms, end_ms=end_ms))
        return Span(
            times[low], values[low - offset], times[high], values[high - offset], high - low + 1
        )

    def ends(self, low: int, high: int) -> tuple[float, float] | None:
        """The values at two places of the timeline; None where it began later, or something broke between."""
        times, values = self.timeline.times, self.values
        at = low - len(times) + len(values)
        if at < 0 or times[low] < self.unbroken_ms:
            return None
        return values[at], values[at + high - low]

    def latest(self, *, start_ms: int, end_ms: int) -> float | None:
        """The value of the newest scrape in the window, unless that left a gap."""
        times = self.timeline.times
        last = bisect_right(times, end_ms) - 1
        at = last - (len(times) - len(self.values))
        if last < 0 or at < 0 or times[last] < start_ms or math.isnan(self.values[at]):
            return None
        return self.values[at]


class Batch:
    """Some series of one family and one pod, and which of them were asked for lately: the same questions come
    again and again.
    """

    __slots__ = ("_selected", "series", "timeline")

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.series: list[Series] = []
        # Apart, for pairs would be as many objects more for the garbage collector to go through.
        self._selected: dict[Selection, tuple[Sequence[Group], Sequence[Series]]] = {}

    def add(self, series: Series) -> None:
        """One more."""
        self.series.append(series)
        self._selected.clear()

    def select(self, selection: Selection) -> Iterator[tuple[Group, Series]]:
        """Those that are selected, with their groups."""
        found = self._selected.get(selection)
        if found is None:
            if len(self._selected) >= MOST_SELECTIONS:
                self._selected.clear()
            found = self._selected[selection] = self._select(selection)
        return zip(*found, strict=True)

    def _select(self, selection: Selection) -> tuple[Sequence[Group], Sequence[Series]]:
        wanted, present = tuple(selection.matching.items()), selection.present
        without = selection.without.items()
        by = selection.group_by
        found = [
            series
            for series in self.series
            if _has(series.labels, wanted)
            and all(map(series.labels.get, present))
            and without.isdisjoint(series.labels.items())
        ]
        groups = [tuple([series.labels.get(name, "") for name in by]) for series in found]
        return groups, found


class PodSamples:
    """Everything kept of one pod."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._timeline = Timeline()
        # Heads as written lead to their series; None for what nobody asks about.
        self._by_head: dict[str, Series | None] = {}
        self._by_family: dict[str, list[Batch]] = {}

    def family(self, name: str) -> Sequence[Batch]:
        """The series of one family, in batches that are quickly gone through."""
        return self._by_family.get(name, ())

    @property
    def last_time_ms(self) -> int:
        """When it was last asked; -1 if never."""
        times = self._timeline.times
        return times[-1] if times else -1

    def append(self, text: str, *, at_ms: int) -> None:
        """Take up one exposition; nothing is kept of one that raises `ExpositionError`."""
        seen = self._read(text)
        self._advance(at_ms, seen=seen)

    def leave_gap(self, *, at_ms: int) -> None:
        """Note that there was nothing to read at this time."""
        self._advance(at_ms, seen={})

    def forget_before(self, start_ms: int) -> None:
        """Drop what is older, and series that have nothing left."""
        times = self._timeline.times
        if not times or times[0] >= start_ms - TRIM_SLACK_MS:
            return
        drop = bisect_left(times, start_ms)
        del times[:drop]
        kept = len(times)
        for series in self._by_head.values():
            if series is None:
                continue
            excess = len(series.values) - kept
            if excess > 0:
                del series.values[:excess]
        self._by_head = {
            head: series for head, series in self._by_head.items() if series and _is_alive(series)
        }
        self._by_family.clear()
        self._index(self._by_head.values())

    def _read(self, text: str) -> dict[str, tuple[Series, float]]:
        seen: dict[str, tuple[Series, float]] = {}
        fresh: dict[str, Series | None] = {}
        for line, head, value in read_lines(text):
            series = self._by_head.get(head) or fresh.get(head)
            if series is None:
                if head in self._by_head or head in fresh:
                    continue
                series = fresh[head] = self._new_series(head, line=line)
                if series is None:
                    continue
            if head in seen:
                raise ExpositionError(f"line {line}: series is given twice: {head[:80]!r}")
            seen[head] = series, value if abs(value) <= LARGEST else GAP
        if len(self._by_head) + len(fresh) > MOST_SERIES:
            raise TooManySeriesError(f"more than {MOST_SERIES} series")
        self._by_head.update(fresh)
        self._index(fresh.values())
        return seen

    def _index(self, added: Iterable[Series | None]) -> None:
        for series in added:
            if series is not None:
                batches = self._by_family.setdefault(series.name, [])
                if not batches or len(batches[-1].series) >= BATCH:
                    batches.append(Batch(self._timeline))
                batches[-1].add(series)

    def _new_series(self, head: str, *, line: int) -> Series | None:
        parsed = parse_head(head, line=line)
        if parsed.name not in FAMILIES:
            return None
        # What the pod says of itself does not replace what the mesh knows of it.
        labels = {**parsed.labels, **self._labels}
        if authority := labels.get(LABEL_AUTHORITY):
            labels[LABEL_AUTHORITY] = _with_port(authority)
        return Series(parsed.name, labels, self._timeline)

    def _advance(self, at_ms: int, *, seen: Mapping[str, tuple[Series, float]]) -> None:
        if at_ms <= self.last_time_ms:
            return
        self._timeline.times.append(at_ms)
        for head, series in self._by_head.items():
            if series is None:
                continue
            found = seen.get(head)
            series.append(found[1] if found else GAP, at_ms=at_ms)


def _with_port(authority: str) -> str:
    """As all proxies of a mesh would write it."""
    try:
        _, port = split_authority(authority)
    except ValueError:
        return authority
    return authority if port else f"{authority}:80"


def _is_alive(series: Series) -> bool:
    return any(not math.isnan(value) for value in series.values)


class SampleStore:
    """The samples of all pods; a pod that is gone stays until its samples are too old."""

    def __init__(self, *, retention_s: float = RETENTION_S) -> None:
        self.retention_s = retention_s
        self._retention_ms = int(retention_s * 1000)
        self._pods: dict[Key, PodSamples] = {}

    @property
    def pods(self) -> int:
        """Of how many pods there are samples."""
        return len(self._pods)

    def append(self, pod: Key, *, labels: Mapping[str, str], text: str, at_ms: int) -> None:
        """Take up an exposition of a pod whose series get `labels`."""
        samples = self._pods.get(pod)
        if samples is None:
            samples = self._pods[pod] = PodSamples(labels)
        samples.append(text, at_ms=at_ms)
        samples.forget_before(at_ms - self._retention_ms)

    def leave_gap(self, pod: Key, *, at_ms: int) -> None:
        """Note that a pod did not answer, or is gone."""
        if pod in self._pods:
            self._pods[pod].leave_gap(at_ms=at_ms)

    def forget(self, *, now_ms: int) -> None:
        """Drop pods that were last asked before the retention."""
        oldest = now_ms - self._retention_ms
        for pod in [pod for pod, kept in self._pods.items() if kept.last_time_ms < oldest]:
            del self._pods[pod]

    def batches(self, family: str) -> Iterator[Batch]:
        """All series of a family, in batches that are quickly gone through."""
        # Pods and series may come while somebody goes through these.
        for pod in tuple(self._pods.values()):
            yield from tuple(pod.family(family))


def _has(labels: Mapping[str, str], wanted: tuple[tuple[str, str], ...]) -> bool:
    # A loop, not all(...): every query asks this of every series of its family.
    for name, value in wanted:  # noqa: SIM110
        if labels.get(name, "") != value:
            return False
    return True
