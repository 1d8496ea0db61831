from collections.abc import Iterable

from linkerd2_py._ext.exchange.observe import Observer
from linkerd2_py._ext.metrics.http import HttpMetrics

class ResponseClasses:
    """What responses count as by their status: failures those of `failures`, successes the others of `told`;
    both are sets of statuses, bit N for the status N. What is in neither counts as usual."""

    def __init__(self, *, told: int, failures: int) -> None: ...

class Plan:
    """What the shell decided about the exchanges of one route. Immutable; TypeError for what is no
    observer."""

    @property
    def observers(self) -> tuple[Observer, ...]: ...
    @property
    def classes(self) -> ResponseClasses | None: ...
    @property
    def labels(self) -> tuple[tuple[str, str], ...] | None:
        """Of its route, for whoever looks on; None: it is of none."""
    def __init__(
        self,
        *,
        observers: Iterable[Observer] = (),
        metrics: HttpMetrics | None = None,
        classes: ResponseClasses | None = None,
        labels: tuple[tuple[str, str], ...] | None = None,
    ) -> None: ...
