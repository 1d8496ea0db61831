"""A Prometheus, as the `MetricsStore` that questions are put to, and what it says of its scrapes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.names import LABEL_NAMESPACE, LABEL_POD
from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.prometheus import promql
from linkerd2_py.controlplane.metrics.prometheus.api import PrometheusApi, Sample
from linkerd2_py.controlplane.metrics.store import Group, Report, Selection, Window

LONGEST_WINDOW_S: Final = 15 * 86_400.0
"""What a Prometheus keeps unless it is told otherwise. Of one that keeps less, windows are as long as what it
has.
"""
INTERVAL_S: Final = 10.0
"""Between two scrapes, as Linkerd's configuration has it."""
JOBS: Final = "linkerd-proxy"
_BY_POD: Final = f"({LABEL_NAMESPACE}, {LABEL_POD})"
_LAST_SUCCESS_RANGE: Final = "5m"
_WELL: Final = (0.0, 1.0)
_UNREADABLE: Final = "Prometheus cannot read it; its page /targets says why"


class PrometheusStore:
    """Answers with what `api` says; the time is the calendar's, in which samples are kept."""

    def __init__(self, api: PrometheusApi, *, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    @property
    def longest_window_s(self) -> float:
        return LONGEST_WINDOW_S

    def now_ms(self) -> int:
        return int(self._clock.wall() * 1000)

    async def sum_increase(
        self, family: str, *, selection: Selection, window: Window
    ) -> dict[Group, float]:
        asked = promql.sum_increase(family, selection=selection, length_ms=window.length_ms)
        return await self._by_group(asked, selection=selection, at_ms=window.end_ms)

    async def quantiles(
        self, family: str, *, selection: Selection, window: Window, wanted: Sequence[float]
    ) -> dict[Group, tuple[float, ...]]:
        length = window.length_ms
        asked = [
            promql.quantile(family, selection=selection, length_ms=length, wanted=one)
            for one in wanted
        ]
        answers = await asyncio.gather(
            *(self._by_group(one, selection=selection, at_ms=window.end_ms) for one in asked)
        )
        # All of one moment and of the same series: their groups are the same.
        groups = answers[0] if answers else {}
        return {
            group: tuple([answer.get(group, float("nan")) for answer in answers])
            async for group in in_slices(groups)
        }

    async def latest(self, family: str, *, selection: Selection, at_ms: int) -> dict[Group, float]:
        asked = promql.latest(family, selection=selection)
        return await self._by_group(asked, selection=selection, at_ms=at_ms)

    async def _by_group(
        self, expression: str, *, selection: Selection, at_ms: int
    ) -> dict[Group, float]:
        found = await self._api.vector(expression, at_ms=at_ms)
        by = selection.group_by
        return {
            tuple([one.labels.get(name, "") for name in by]): one.value
            async for one in in_slices(found)
        }


class PrometheusReports:
    """What Prometheus says of its own scrapes of the proxies of `mesh`."""

    def __init__(
        self, api: PrometheusApi, *, mesh: Mesh, clock: Clock, interval_s: float = INTERVAL_S
    ) -> None:
        self._api = api
        self._mesh = mesh
        self._clock = clock
        self._interval_s = interval_s

    @property
    def interval_s(self) -> float:
        return self._interval_s

    async def reports(self) -> Mapping[Key, Report]:
        """Of each pod with a proxy; of one that is not scraped at all, nothing is known."""
        at_ms = int(self._clock.wall() * 1000)
        up = f'up{{job="{JOBS}"}}'
        newest = await self._newest(up, at_ms=at_ms)
        succeeded = {pod: time for pod, (time, level) in newest.items() if level}
        if len(succeeded) < len(newest):
            steps = f"[{_LAST_SUCCESS_RANGE}:{max(1, round(self._interval_s))}s]"
            before = f"max_over_time((timestamp({up}) * ({up} == 1)){steps})"
            found = await self._api.vector(f"max({before}) by {_BY_POD}", at_ms=at_ms)
            succeeded = {_pod_of(one): one.value for one in found} | succeeded
        return {
            pod.key: Report(
                succeeded.get(pod.key), _UNREADABLE if newest.get(pod.key, _WELL)[1] == 0 else ""
            )
            for pod in tuple(self._mesh.pods.values())
            if pod.meshed and pod.admin_addr
        }

    async def _newest(self, up: str, *, at_ms: int) -> dict[Key, tuple[float, float]]:
        """When each pod was scraped last, and whether that went well. A pod that has had other addresses has
        several series for a while.
        """
        by = f"({LABEL_NAMESPACE}, {LABEL_POD}, instance)"
        levels, times = await asyncio.gather(
            self._api.vector(f"min({up}) by {by}", at_ms=at_ms),
            self._api.vector(f"max(timestamp({up})) by {by}", at_ms=at_ms),
        )
        scraped = {_instance_of(one): one.value for one in times}
        newest: dict[Key, tuple[float, float]] = {}
        async for one in in_slices(levels):
            found = scraped.get(_instance_of(one), 0.0), one.value
            newest[_pod_of(one)] = max(newest.get(_pod_of(one), (0.0, 0.0)), found)
        return newest


def _pod_of(sample: Sample) -> Key:
    return Key(sample.labels.get(LABEL_NAMESPACE, ""), sample.labels.get(LABEL_POD, ""))


def _instance_of(sample: Sample) -> tuple[Key, str]:
    return _pod_of(sample), sample.labels.get("instance", "")
