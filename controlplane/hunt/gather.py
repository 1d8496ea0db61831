"""Asks for the evidence of one moment: the metrics protocol, what it reports of proxies, and the mesh."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.hunt.changes import ChangedEndpoints
from linkerd2_py.controlplane.hunt.evidence import (
    Answered,
    Called,
    Evidence,
    Latency,
    Minute,
    Outcome,
    Refused,
)
from linkerd2_py.controlplane.identity.trust import Trust
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.families import (
    CERTIFICATE_ENDS,
    CLOCKS,
    DENIED,
    DETECTED,
    LATENCIES,
    OPENED,
    RESOLVED,
    RESPONSES,
    ROUTE_RESPONSES,
    ROUTES_OUT,
    TCP_DENIED,
)
from linkerd2_py.controlplane.metrics.store import (
    Group,
    MetricsStore,
    ProxyReports,
    Selection,
    Window,
)

_POD: Final = ("namespace", "pod")
_OUTCOME: Final = ("classification", "status_code", "grpc_status", "error")
_INBOUND: Final = {"direction": "inbound"}
_OUTBOUND: Final = {"direction": "outbound"}
# As in `stat`: what a proxy's administration and a pod's probes are asked is no traffic.
_NO_TRAFFIC: Final = {"target_port": "4191", "route_name": "probe"}
_ARRIVED: Final = Selection(_INBOUND, (*_POD, *_OUTCOME), without=_NO_TRAFFIC)
_BY_ROUTE: Final = Selection(_INBOUND, (*_POD, "dst", "rt_route", *_OUTCOME))
_CALLED: Final = Selection(
    _OUTBOUND, (*_POD, "authority", "dst_namespace", "dst_pod", *_OUTCOME), present=("authority",)
)
_LATENCY: Final = Selection(_INBOUND, _POD, without=_NO_TRAFFIC)
_REFUSED: Final = Selection({}, (*_POD, "srv_kind", "srv_name", "target_port", "client_id"))
# A name that has no address of IPv6 is not one that fails.
_RESOLVED: Final = Selection({}, (*_POD, "result"), without={"record_type": "AAAA"})
_OPENED: Final = Selection(
    {**_OUTBOUND, "peer": "dst"}, (*_POD, "dst_namespace", "dst_service"), present=("dst_service",)
)
_GUESSED: Final = Selection(
    {"result": "read_timeout"}, ("parent_namespace", "parent_name", "parent_port")
)
_ROUTED: Final = Selection({}, (*_POD, "parent_namespace", "parent_name"))
_OUTCOMES: Final = Selection(_INBOUND, (*_POD, "classification"), without=_NO_TRAFFIC)
_SHORTEST_S: Final = 10.0
"""What is over at the end of the window is no fault any more; a scraper needs some turns to see that."""
_MOST_WINDOWS: Final = 9


@dataclass(frozen=True, slots=True)
class Sources:
    """Who is asked. `changes` are what has changed lately; `trust` is None in a mesh without identities."""

    mesh: Mesh
    metrics: MetricsStore
    reports: ProxyReports
    clock: Clock
    trust: Callable[[], Trust] | None = None
    changes: Callable[[], Sequence[ChangedEndpoints]] = tuple
    in_cluster: bool = False


async def gather(sources: Sources, *, window_s: float) -> Evidence:
    """Everything, of the same moment."""
    questions = _Questions(sources.metrics, sources.metrics.now_ms(), window_s)
    answered, by_route, called, latencies = await asyncio.gather(
        questions.answered(), questions.by_route(), questions.called(), questions.latencies()
    )
    refused, resolved, opened, guessed, retries = await asyncio.gather(
        questions.refused(),
        questions.resolved(),
        questions.opened(),
        questions.guessed(),
        questions.retries(),
    )
    certificates, clocks = await questions.latest(CERTIFICATE_ENDS), await questions.latest(CLOCKS)
    reports = await sources.reports.reports()
    fails = any(one.outcome.is_failure for one in answered)
    return Evidence(
        mesh=sources.mesh,
        now=sources.clock.wall(),
        window_s=window_s,
        in_cluster=sources.in_cluster,
        answered=answered,
        by_route=by_route,
        called=called,
        latencies=latencies,
        refused=refused,
        resolved=resolved,
        opened=opened,
        guessed=guessed,
        retries=retries,
        certificates=certificates,
        trust_ends=sources.trust().ends.timestamp() if sources.trust else None,
        clocks=clocks,
        silent={pod: report.failure for pod, report in reports.items() if report.failure},
        history=await questions.history() if fails else (),
        changes=sources.changes(),
    )


class _Questions:
    """Those about one window."""

    def __init__(self, metrics: MetricsStore, end_ms: int, window_s: float) -> None:
        self._metrics = metrics
        self._window = Window(end_ms, int(window_s * 1000))
        recent_s = min(window_s, max(window_s / 3, _SHORTEST_S))
        self._recent = Window(end_ms, int(recent_s * 1000))

    async def answered(self) -> list[Answered]:
        return [
            Answered(Key(*group[:2]), _outcome(group[2:]), count, recent)
            async for group, (count, recent) in in_slices(await self._both(RESPONSES, _ARRIVED))
        ]

    async def by_route(self) -> list[Answered]:
        found = await self._both(ROUTE_RESPONSES, _BY_ROUTE)
        return [
            Answered(Key(*group[:2]), _outcome(group[4:]), count, recent, group[3], group[2])
            async for group, (count, recent) in in_slices(found)
        ]

    async def called(self) -> list[Called]:
        found = await self._both(RESPONSES, _CALLED)
        return [
            Called(Key(*group[:2]), group[2], Key(*group[3:5]), _outcome(group[5:]), count, recent)
            async for group, (count, recent) in in_slices(found)
        ]

    async def latencies(self) -> dict[Key, Latency]:
        found = await self._metrics.quantiles(
            LATENCIES, selection=_LATENCY, window=self._window, wanted=(0.5, 0.95)
        )
        return {Key(*group): Latency(*values) for group, values in found.items() if values[0] > 0}

    async def refused(self) -> list[Refused]:
        requests, connections = await asyncio.gather(
            self._increase(DENIED, _REFUSED), self._increase(TCP_DENIED, _REFUSED)
        )
        return [
            Refused(Key(namespace, pod), kind, server, port, client, count)
            for counts in (requests, connections)
            for (namespace, pod, kind, server, port, client), count in counts.items()
            if count
        ]

    async def resolved(self) -> Mapping[Key, Mapping[str, float]]:
        found: defaultdict[Key, dict[str, float]] = defaultdict(dict)
        for (*pod, result), count in (await self._increase(RESOLVED, _RESOLVED)).items():
            found[Key(*pod)][result] = count
        return found

    async def opened(self) -> dict[tuple[Key, Key], float]:
        found = await self._increase(OPENED, _OPENED)
        return {
            (Key(*group[:2]), Key(*group[2:])): count for group, count in found.items() if count
        }

    async def guessed(self) -> dict[tuple[Key, int], float]:
        found = await self._increase(DETECTED, _GUESSED)
        return {
            (Key(namespace, name), int(port)): count
            for (namespace, name, port), count in found.items()
            if count and port.isdecimal()
        }

    async def retries(self) -> dict[tuple[Key, Key], float]:
        """For each pod and service, the share of its calls that were retries."""
        shares: dict[tuple[Key, Key], float] = {}
        for families in ROUTES_OUT.values():
            calls = await self._increase(families.statuses, _ROUTED)
            for group, count in (await self._increase(families.retries, _ROUTED)).items():
                if count:
                    total = count + calls.get(group, 0.0)
                    shares[Key(*group[:2]), Key(*group[2:])] = count / total
        return shares

    async def latest(self, gauge: str) -> dict[Key, float]:
        selection = Selection(group_by=_POD)
        found = await self._metrics.latest(gauge, selection=selection, at_ms=self._window.end_ms)
        return {Key(*group): value for group, value in found.items()}

    async def history(self) -> list[Mapping[Key, Minute]]:
        """Earlier windows of the same length, until nothing is kept, or nothing happened."""
        found: list[Mapping[Key, Minute]] = []
        length = self._window.length_ms
        windows = int(self._metrics.longest_window_s * 1000 / length) - 1
        for back in range(1, min(windows, _MOST_WINDOWS) + 1):
            earlier = Window(self._window.end_ms - back * length, length)
            counts = await self._metrics.sum_increase(
                RESPONSES, selection=_OUTCOMES, window=earlier
            )
            minutes = _minutes(counts)
            if not minutes:
                break
            found.append(minutes)
        return found

    async def _increase(self, family: str, selection: Selection) -> Mapping[Group, float]:
        return await self._metrics.sum_increase(family, selection=selection, window=self._window)

    async def _both(
        self, family: str, selection: Selection
    ) -> list[tuple[Group, tuple[float, float]]]:
        """In the whole window, and at its end; what did not happen is left out."""
        counts, recent = await asyncio.gather(
            self._increase(family, selection),
            self._metrics.sum_increase(family, selection=selection, window=self._recent),
        )
        return [
            (group, (count, recent.get(group, 0.0))) for group, count in counts.items() if count
        ]


def _outcome(labels: Sequence[str]) -> Outcome:
    classification, status, grpc_status, error = labels
    return Outcome(classification != "success", status, grpc_status, error)


def _minutes(counts: Mapping[Group, float]) -> Mapping[Key, Minute]:
    found: dict[Key, Minute] = {}
    for (*pod, classification), count in counts.items():
        if count:
            well, failed = found.get(Key(*pod), Minute(0.0, 0.0))
            bad = 0.0 if classification == "success" else count
            found[Key(*pod)] = Minute(well + count - bad, failed + bad)
    return found
