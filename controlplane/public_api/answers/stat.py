"""`/api/v1/stat`: what the metrics store answers to a `stat_query`, joined with the objects of the mesh."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Key, Pod
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.families import (
    LATENCIES,
    OPEN_CONNECTIONS,
    READ_BYTES,
    RESPONSES,
    WRITTEN_BYTES,
)
from linkerd2_py.controlplane.metrics.store import Group, MetricsStore, Selection, Window
from linkerd2_py.controlplane.public_api.answers.stat_query import (
    StatAsked,
    StatQuery,
    request_selection,
    tcp_selection,
)
from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.public_api.operation import Operation

_QUANTILES = (0.5, 0.95, 0.99)
# What `all` stands for, beside the kinds of workloads that there are.
_OF_ALL = frozenset({Kind.AUTHORITY, Kind.DEPLOYMENT, Kind.POD, Kind.SERVICE})


class ListedStats(TypedDict):
    """Over the window: counts as Prometheus extrapolates them, rates a second, latencies in ms."""

    success: float
    failure: float
    success_rate: float
    rps: float
    latency_ms_p50: int
    latency_ms_p95: int
    latency_ms_p99: int
    tls_percent: float | None
    tcp_open_connections: int
    tcp_read_bytes_rate: float
    tcp_write_bytes_rate: float


class Row(TypedDict):
    """One thing; counts of pods are null where it has none of its own, stats where it had no traffic."""

    namespace: str
    type: str
    name: str
    status: str
    meshed: int | None
    running: int | None
    failed: int
    stats: ListedStats | None


class Table(TypedDict):
    """The things of one kind, by namespace and name."""

    type: str
    rows: list[Row]


class Stat(TypedDict):
    """The answer: one table, or one for each kind of `all`."""

    tables: list[Table]


@dataclass(slots=True)
class Stats:
    """Of one row over the window, as it is summed up."""

    window_s: float
    success: float = 0.0
    failure: float = 0.0
    over_tls: float = 0.0
    latencies_ms: Sequence[int] = (0, 0, 0)
    tcp_open_connections: float = 0.0
    tcp_read_bytes: float = 0.0
    tcp_write_bytes: float = 0.0

    def listed(self) -> ListedStats:
        """As it is answered."""
        total = self.success + self.failure
        p50, p95, p99 = self.latencies_ms
        return {
            "success": self.success,
            "failure": self.failure,
            "success_rate": self.success / total if total else 0.0,
            "rps": total / self.window_s,
            "latency_ms_p50": p50,
            "latency_ms_p95": p95,
            "latency_ms_p99": p99,
            "tls_percent": 100.0 * self.over_tls / total if total else None,
            "tcp_open_connections": int(self.tcp_open_connections),
            "tcp_read_bytes_rate": self.tcp_read_bytes / self.window_s,
            "tcp_write_bytes_rate": self.tcp_write_bytes / self.window_s,
        }


class Thing(NamedTuple):
    """What a row is about; `pods` is None where it has none of its own."""

    key: Key
    pods: Sequence[Pod] | None = None


def stat(mesh: Mesh, *, metrics: MetricsStore) -> Operation[StatAsked]:
    """The operation."""

    async def answer(asked: StatAsked) -> Stat:
        query = StatQuery.of(asked, longest_window_s=metrics.longest_window_s)
        return await answer_of(query, metrics=metrics, mesh=mesh)

    return Operation("/api/v1/stat", "Success, rate, latency", StatAsked, Stat, answer)


async def answer_of(query: StatQuery, *, metrics: MetricsStore, mesh: Mesh) -> Stat:
    """The tables, all of the same moment."""
    window = Window(metrics.now_ms(), int(query.window_s * 1000))
    tables: list[Table] = []
    for kind in _kinds(query, mesh=mesh):
        rows = await _rows(query, kind=kind, metrics=metrics, mesh=mesh, window=window)
        tables.append({"type": kind.value, "rows": rows})
    return {"tables": tables}


def _kinds(query: StatQuery, *, mesh: Mesh) -> Iterable[Kind]:
    if query.target.kind is not Kind.ALL:
        return (query.target.kind,)
    wanted = {*_OF_ALL, *(owner.kind for owner in mesh.workloads)}
    if query.to is not None:
        # A service is no client: it has no traffic of its own to anything.
        wanted.discard(Kind.SERVICE)
    return [kind for kind in Kind if kind in wanted]


async def _rows(
    query: StatQuery, *, kind: Kind, metrics: MetricsStore, mesh: Mesh, window: Window
) -> list[Row]:
    found = await _stats(request_selection(query, kind=kind), metrics=metrics, window=window)
    by_name = {_name_of(group): stats for group, stats in found.items()}
    if kind is Kind.AUTHORITY:
        things = [Thing(key) for key in by_name if key.name]
    else:
        things = await things_of(query, kind=kind, mesh=mesh)
    rows = []
    async for thing in in_slices(sorted(things, key=lambda thing: thing.key)):
        stats = by_name.get(thing.key)
        if stats is not None or not query.filtered:
            rows.append(_row(thing, kind=kind, stats=stats))
    return rows


def _name_of(group: Group) -> Key:
    # A namespace is grouped by its name alone.
    return Key(group[0], group[1]) if len(group) == 2 else Key("", group[0])


async def _stats(
    selection: Selection, *, metrics: MetricsStore, window: Window
) -> Mapping[Group, Stats]:
    """One set of questions, as Linkerd asks them, merged by group."""
    by_outcome = replace(selection, group_by=(*selection.group_by, "classification", "tls"))
    tcp, end_ms = tcp_selection(selection), window.end_ms
    responses, latencies, open_now, read, written = await asyncio.gather(
        metrics.sum_increase(RESPONSES, selection=by_outcome, window=window),
        metrics.quantiles(LATENCIES, selection=selection, window=window, wanted=_QUANTILES),
        metrics.latest(OPEN_CONNECTIONS, selection=tcp, at_ms=end_ms),
        metrics.sum_increase(READ_BYTES, selection=tcp, window=window),
        metrics.sum_increase(WRITTEN_BYTES, selection=tcp, window=window),
    )
    rows: defaultdict[Group, Stats] = defaultdict(lambda: Stats(window.length_ms / 1000))
    async for (*group, classification, tls), count in in_slices(responses.items()):
        _add_responses(rows[tuple(group)], count, classification=classification, tls=tls)
    async for latency_group, values in in_slices(latencies.items()):
        rows[latency_group].latencies_ms = tuple(map(_milliseconds, values))
    async for tcp_group in in_slices(open_now.keys() | read.keys() | written.keys()):
        stats = rows[tcp_group]
        stats.tcp_open_connections = open_now.get(tcp_group, 0.0)
        stats.tcp_read_bytes = read.get(tcp_group, 0.0)
        stats.tcp_write_bytes = written.get(tcp_group, 0.0)
    return rows


def _add_responses(stats: Stats, count: float, *, classification: str, tls: str) -> None:
    if classification == "success":
        stats.success += count
    else:
        stats.failure += count
    if tls == "true":
        stats.over_tls += count


def _milliseconds(value: float) -> int:
    return 0 if math.isnan(value) else math.floor(value + 0.5)


async def things_of(query: StatQuery, *, kind: Kind, mesh: Mesh) -> list[Thing]:
    """The objects of the mesh that rows are about."""
    wanted = query.target
    return [
        thing
        async for thing in in_slices(_all_things(kind, mesh=mesh))
        if wanted.name in {"", thing.key.name} and wanted.namespace in {"", thing.key.namespace}
    ]


def _all_things(kind: Kind, *, mesh: Mesh) -> Iterator[Thing]:
    # In slices: what is walked is what there was at the beginning.
    if kind is Kind.POD:
        for pod in tuple(mesh.pods.values()):
            yield Thing(pod.key, (pod,))
    elif kind is Kind.SERVICE:
        yield from map(Thing, tuple(mesh.services))
    elif kind is Kind.NAMESPACE:
        yield from _namespaces(mesh)
    else:
        for owner in tuple(mesh.workloads):
            if owner.kind == kind.value:
                yield Thing(Key(owner.namespace, owner.name), mesh.pods_of(owner))


def _namespaces(mesh: Mesh) -> Iterator[Thing]:
    pods_of: dict[str, list[Pod]] = defaultdict(list)
    for pod in mesh.pods.values():
        pods_of[pod.namespace].append(pod)
    names = {key.namespace for key in (*mesh.services, *mesh.pods)}
    for name in names | {owner.namespace for owner in mesh.workloads}:
        yield Thing(Key("", name), pods_of[name])


def _row(thing: Thing, *, kind: Kind, stats: Stats | None) -> Row:
    pods = thing.pods
    # As Linkerd: pods that are going count as gone already, failed ones are counted apart.
    present = [pod for pod in pods or () if pod.status in {"Running", "Pending"}]
    return {
        "namespace": thing.key.namespace,
        "type": kind.value,
        "name": thing.key.name,
        "status": pods[0].status if pods and kind is Kind.POD else "",
        "meshed": None if pods is None else sum(pod.meshed for pod in present),
        "running": None if pods is None else len(present),
        "failed": sum(pod.status == "Failed" for pod in pods or ()),
        "stats": stats.listed() if stats else None,
    }
