"""The samples in memory, as the `MetricsStore` that questions are put to."""

from collections.abc import Sequence

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.metrics.embedded import queries
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore, now_ms
from linkerd2_py.controlplane.metrics.store import Group, Selection, Window


class EmbeddedStore:
    """Answers from `samples`, whose times are those of `clock`."""

    def __init__(self, samples: SampleStore, *, clock: Clock) -> None:
        self._samples = samples
        self._clock = clock

    @property
    def longest_window_s(self) -> float:
        return self._samples.retention_s

    def now_ms(self) -> int:
        return now_ms(self._clock)

    async def sum_increase(
        self, family: str, *, selection: Selection, window: Window
    ) -> dict[Group, float]:
        return await queries.sum_increase(self._samples, family, selection=selection, window=window)

    async def quantiles(
        self, family: str, *, selection: Selection, window: Window, wanted: Sequence[float]
    ) -> dict[Group, tuple[float, ...]]:
        return await queries.quantiles(
            self._samples, family, selection=selection, window=window, wanted=wanted
        )

    async def latest(self, family: str, *, selection: Selection, at_ms: int) -> dict[Group, float]:
        return await queries.sum_latest(self._samples, family, selection=selection, at_ms=at_ms)
