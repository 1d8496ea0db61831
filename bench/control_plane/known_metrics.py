"""A metrics store that has an answer for every workload at once, so that what is left is the join with the
mesh.
"""

from collections.abc import Sequence

from bench.control_plane.mesh import NAMESPACE, Size, workload_name
from linkerd2_py.controlplane.metrics.store import Group, Selection, Window

_ONE_VALUE = {"namespace": NAMESPACE, "classification": "success", "tls": "true"}


class KnownMetrics:
    """The same figures for each workload, whatever is asked."""

    def __init__(self, size: Size) -> None:
        self._names = [workload_name(number) for number in range(size.workloads)]

    @property
    def longest_window_s(self) -> float:
        """Ten minutes."""
        return 600.0

    def now_ms(self) -> int:
        """Only differences mean anything."""
        return 0

    async def sum_increase(
        self, family: str, *, selection: Selection, window: Window
    ) -> dict[Group, float]:
        """As much for each."""
        return dict.fromkeys(self._groups(selection), 60.0)

    async def quantiles(
        self, family: str, *, selection: Selection, window: Window, wanted: Sequence[float]
    ) -> dict[Group, tuple[float, ...]]:
        """As long for each."""
        return dict.fromkeys(self._groups(selection), tuple(10.0 for _ in wanted))

    async def latest(self, family: str, *, selection: Selection, at_ms: int) -> dict[Group, float]:
        """As many for each."""
        return dict.fromkeys(self._groups(selection), 3.0)

    def _groups(self, selection: Selection) -> list[Group]:
        return [
            tuple(_ONE_VALUE.get(label, name) for label in selection.group_by)
            for name in self._names
        ]
