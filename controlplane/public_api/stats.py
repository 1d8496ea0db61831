"""Rows of stats: what the store answers to a query, joined with the objects of the mesh."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from linkerd2_py.controlplane.mesh.objects import Key, Mesh, Pod
from linkerd2_py.controlplane.metrics.embedded.queries import (
    Group,
    Selection,
    Window,
    quantiles,
    sum_increase,
    sum_latest,
)
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.public_api.moment import Moment
from linkerd2_py.controlplane.public_api.resources import TABLES_OF_ALL, Kind
from linkerd2_py.controlplane.public_api.stat_query import (
    StatQuery,
    request_selection,
    tcp_selection,
)

_LATENCIES = (0.5, 0.95, 0.99)


@dataclass(slots=True)
class Stats:
    """Of one row over the window: request counts as Prometheus extrapolates them, latencies in ms."""

    window_s: float
    success: float = 0.0
    failure: float = 0.0
    over_tls: float = 0.0
    latencies_ms: Sequence[int] = (0, 0, 0)
    tcp_open_connections: float = 0.0
    tcp_read_bytes: float = 0.0
    tcp_write_bytes: float = 0.0

    def as_json(self) -> dict[str, float | int | None]:
        """The `stats` object of the public API."""
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


@dataclass(frozen=True, slots=True)
class Row:
    """One thing; counts of pods are None where it has none of its own."""

    namespace: str
    kind: Kind
    name: str
    pods: Sequence[Pod] | None
    stats: Stats | None

    def as_json(self) -> dict[str, object]:
        """A row of the public API."""
        counted = {"meshed": None, "running": None, "failed": 0, "status": ""}
        return {
            "namespace": self.namespace,
            "type": self.kind.value,
            "name": self.name,
            **(counted if self.pods is None else _counts(self.pods, kind=self.kind)),
            "stats": self.stats.as_json() if self.stats else None,
        }


@dataclass(frozen=True, slots=True)
class _Thing:
    namespace: str
    name: str
    pods: Sequence[Pod] | None = field(compare=False)


def answer(query: StatQuery, *, store: SampleStore, mesh: Mesh, now: Moment) -> dict[str, object]:
    """The answer of `/api/v1/stat`: one table, or one for each kind of `all`."""
    kinds: tuple[Kind, ...] = (query.target.kind,)
    if query.target.kind is Kind.ALL:
        kinds = TABLES_OF_ALL
    if query.to is not None and query.target.kind is Kind.ALL:
        # A service is no client: it has no traffic of its own to anything.
        kinds = tuple(kind for kind in kinds if kind is not Kind.SERVICE)
    window = Window(now.at_ms, int(query.window_s * 1000))
    tables = [
        {
            "type": kind.value,
            "rows": [
                row.as_json()
                for row in _rows(query, kind=kind, store=store, mesh=mesh, window=window)
            ],
        }
        for kind in kinds
    ]
    return {"tables": tables}


def _rows(
    query: StatQuery, *, kind: Kind, store: SampleStore, mesh: Mesh, window: Window
) -> list[Row]:
    found = _stats(request_selection(query, kind=kind), store=store, window=window)
    by_name = {_name_of(group): stats for group, stats in found.items()}
    if kind is Kind.AUTHORITY:
        return [
            Row(namespace, kind, name, None, stats)
            for (namespace, name), stats in sorted(by_name.items(), key=lambda item: item[0])
            if name
        ]
    rows = []
    for thing in sorted(
        _things(query, kind=kind, mesh=mesh), key=lambda thing: (thing.namespace, thing.name)
    ):
        stats = by_name.get(Key(thing.namespace, thing.name))
        if stats is not None or not query.filtered:
            rows.append(Row(thing.namespace, kind, thing.name, thing.pods, stats))
    return rows


def _name_of(group: Group) -> Key:
    # A namespace is grouped by its name alone.
    return Key(group[0], group[1]) if len(group) == 2 else Key("", group[0])


def _stats(selection: Selection, *, store: SampleStore, window: Window) -> dict[Group, Stats]:
    """One set of queries, as Linkerd asks them, merged by group."""
    rows: defaultdict[Group, Stats] = defaultdict(lambda: Stats(window.length_ms / 1000))
    _add_requests(rows, selection=selection, store=store, window=window)
    connections = tcp_selection(selection)
    open_now = sum_latest(store, "tcp_open_connections", selection=connections, at_ms=window.end_ms)
    for group, count in open_now.items():
        rows[group].tcp_open_connections = count
    read = sum_increase(store, "tcp_read_bytes_total", selection=connections, window=window)
    for group, amount in read.items():
        rows[group].tcp_read_bytes = amount
    written = sum_increase(store, "tcp_write_bytes_total", selection=connections, window=window)
    for group, amount in written.items():
        rows[group].tcp_write_bytes = amount
    return rows


def _add_requests(
    rows: defaultdict[Group, Stats], *, selection: Selection, store: SampleStore, window: Window
) -> None:
    by_outcome = Selection(selection.matching, (*selection.group_by, "classification", "tls"))
    counts = sum_increase(store, "response_total", selection=by_outcome, window=window)
    for (*group, classification, tls), count in counts.items():
        stats = rows[tuple(group)]
        if classification == "success":
            stats.success += count
        else:
            stats.failure += count
        if tls == "true":
            stats.over_tls += count
    latencies = quantiles(
        store,
        "response_latency_ms_bucket",
        selection=selection,
        window=window,
        wanted=_LATENCIES,
    )
    for latency_group, values in latencies.items():
        rows[latency_group].latencies_ms = tuple(_milliseconds(value) for value in values)


def _milliseconds(value: float) -> int:
    return 0 if math.isnan(value) else math.floor(value + 0.5)


def _things(query: StatQuery, *, kind: Kind, mesh: Mesh) -> Iterable[_Thing]:
    """The objects of the mesh that rows are about."""
    wanted = query.target
    for thing in _all_things(kind, mesh=mesh):
        if wanted.name and thing.name != wanted.name:
            continue
        if wanted.namespace and thing.namespace != wanted.namespace:
            continue
        yield thing


def _all_things(kind: Kind, *, mesh: Mesh) -> Iterable[_Thing]:
    if kind is Kind.DEPLOYMENT:
        for key in mesh.deployments:
            yield _Thing(key.namespace, key.name, tuple(mesh.pods_of(key)))
    elif kind is Kind.POD:
        for pod in mesh.pods.values():
            yield _Thing(pod.namespace, pod.name, (pod,))
    elif kind is Kind.SERVICE:
        for key in mesh.services:
            yield _Thing(key.namespace, key.name, None)
    elif kind is Kind.NAMESPACE:
        names = {key.namespace for key in (*mesh.deployments, *mesh.services, *mesh.pods)}
        for name in names:
            pods = tuple(pod for pod in mesh.pods.values() if pod.namespace == name)
            yield _Thing("", name, pods)


def _counts(pods: Sequence[Pod], *, kind: Kind) -> Mapping[str, object]:
    # As Linkerd: pods that are going count as gone already, failed ones are counted apart.
    present = [pod for pod in pods if pod.status in {"Running", "Pending"}]
    return {
        "status": pods[0].status if kind is Kind.POD else "",
        "meshed": sum(pod.meshed for pod in present),
        "running": len(present),
        "failed": sum(pod.status == "Failed" for pod in pods),
    }
