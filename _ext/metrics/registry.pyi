from collections.abc import Iterator

from linkerd2_py._ext.metrics.labels import LabelPairs
from linkerd2_py._ext.metrics.series import Counter, Gauge

class Registry:
    """Every series of the process, and its text.

    `max_series`: label sets per family; more share one series labelled `overflow="true"`.
    `retain_idle_ns`: how long a series that nobody holds and nothing changes stays.
    """

    def __init__(self, *, max_series: int = 2000, retain_idle_ns: int = 600_000_000_000) -> None: ...
    @property
    def max_series(self) -> int: ...
    @property
    def retain_idle_ns(self) -> int: ...
    def counter(self, name: str, help: str, labels: LabelPairs = ()) -> Counter:
        """The counter of these labels: the same object for the same labels. ValueError for a bad or taken name.

        Keep it: a counter that nobody holds is forgotten when idle.
        """

    def gauge(self, name: str, help: str, labels: LabelPairs = ()) -> Gauge:
        """As `counter`."""

    def info(self, name: str, help: str, labels: LabelPairs) -> None:
        """A constant 1 whose labels are the message, such as proxy_build_info; it stays."""

    def render(self, now: int | None = None) -> Iterator[bytes]:
        """The text format 0.0.4 of this moment's series in slices of 1 to 65,536 bytes.

        `now`: CLOCK_MONOTONIC ns, the clock when absent. Idle series are dropped first. Slices are cut anywhere.
        """
