"""What may be asked of the metrics that proxies expose, whoever keeps them.

Three questions with Prometheus' semantics are enough for everything that people see. A store that speaks
PromQL answers each with one instant query at the end of the window, where F is the family, M the matchers of
the selection (`NAME="VALUE"` for each in `matching`, `NAME!=""` for each in `present`, `NAME!="VALUE"` for
each in `without`), G its `group_by` and W the window's length:

- `sum_increase`: `sum(increase(F{M}[W])) by (G)`
- `quantiles`: `histogram_quantile(Q, sum(rate(F{M}[W])) by (le, G))`, once for each Q
- `latest`: `sum(F{M}) by (G)`

It reads groups from the labels of the result, a missing one as "", and `now_ms` from the calendar. Its
`reports` are `up` and `timestamp(up)` of the scrape jobs of proxies, grouped by namespace and pod. The labels
`namespace`, `pod` and the one of the owner's kind are those that the mesh knows the pod by, not what the pod
says: a scrape configuration adds them. It also writes the port 80 into an `authority` that has none, for
proxies of one mesh may differ in that.

Sums leave out what is beyond 64 bits, infinity and NaN: `increase(F{M}[W]) <= 2^64`, and so for the others.
The embedded store passes over such a sample alone, a Prometheus over the series for as long as the window
has it.

A store that cannot be asked raises `StoreError`.

Whatever they have to compute, answers let the event loop turn several times in 50 ms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from linkerd2_py.controlplane.mesh.objects import Key

Group = tuple[str, ...]
"""The values of the labels of `group_by`, in its order; "" for one that is missing."""


class StoreError(Exception):
    """The samples cannot be asked for; the message says in one line where that failed, and how."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which series count, and by which labels they are summed.

    Those that have these values in `matching` ("" is also a missing label), any value but "" in `present`,
    and not the values in `without`.
    """

    matching: Mapping[str, str] = field(default_factory=dict)
    group_by: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((frozenset(self.matching.items()), self.group_by, self.present))


@dataclass(frozen=True, slots=True)
class Window:
    """The time that ends at `end_ms`, on the clock of the store, and is `length_ms` long."""

    end_ms: int
    length_ms: int

    @property
    def start_ms(self) -> int:
        """Its beginning, which belongs to it."""
        return self.end_ms - self.length_ms


@dataclass(frozen=True, slots=True)
class Report:
    """How reading a pod's metrics goes: `last_success` on the clock of the store, in seconds, `failure` of
    the last turn.
    """

    last_success: float | None = None
    failure: str = ""


class MetricsStore(Protocol):
    """Answers questions about counters, histograms and gauges of all proxies at once."""

    @property
    def longest_window_s(self) -> float:
        """How far back samples are kept."""

    def now_ms(self) -> int:
        """This moment on the clock of the samples, for the end of a window. Only differences of it mean
        anything.
        """

    async def sum_increase(
        self, family: str, *, selection: Selection, window: Window
    ) -> Mapping[Group, float]:
        """By how much counters grew in the window, resets undone, extrapolated to the window's ends as
        Prometheus does.
        """

    async def quantiles(
        self, family: str, *, selection: Selection, window: Window, wanted: Sequence[float]
    ) -> Mapping[Group, tuple[float, ...]]:
        """The quantiles `wanted` of what histograms observed in the window, in their unit; NaN where that is
        nothing.
        """

    async def latest(
        self, family: str, *, selection: Selection, at_ms: int
    ) -> Mapping[Group, float]:
        """The newest values of gauges, none of them older than Prometheus' five minutes."""


class ProxyReports(Protocol):
    """Says how the reading of each proxy's metrics goes."""

    @property
    def interval_s(self) -> float:
        """The time between two readings of one proxy."""

    async def reports(self) -> Mapping[Key, Report]:
        """Of each pod that is to be read now."""
