"""`/api/v1/stat`: what the metrics store answers to a `stat_query`, joined with the objects of the mesh."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.families import (
    LATENCIES,
    OPEN_CONNECTIONS,
    READ_BYTES,
    RESPONSES,
    WRITTEN_BYTES,
)
from linkerd2_py.controlplane.metrics.store import Group, MetricsStore, Selection, Window
from linkerd2_py.controlplane.public_api.answers.splits import leaves_of, service_of
from linkerd2_py.controlplane.public_api.answers.stat_policy import PolicyTraffic, policy_traffic
from linkerd2_py.controlplane.public_api.answers.stat_query import (
    StatAsked,
    StatQuery,
    own_labels,
    request_selection,
    tcp_selection,
)
from linkerd2_py.controlplane.public_api.answers.things import Thing, things_of
from linkerd2_py.controlplane.public_api.answers.traffic import (
    QUANTILES,
    ListedRequests,
    Requests,
    milliseconds,
)
from linkerd2_py.controlplane.public_api.kinds import POLICIES, Kind, Resource
from linkerd2_py.controlplane.public_api.operation import Operation

# What `all` stands for, beside the kinds of workloads that there are.
_OF_ALL = frozenset({Kind.AUTHORITY, Kind.DEPLOYMENT, Kind.POD, Kind.SERVICE})


class ListedStats(ListedRequests):
    """Requests, and the connections that there are."""

    tls_percent: float | None
    tcp_open_connections: int
    tcp_read_bytes_rate: float
    tcp_write_bytes_rate: float


class Row(TypedDict):
    """One thing; counts of pods are null where it has none of its own, stats where it had no traffic.

    `server` is that of an HTTPRoute, `refused_rps` what it or a Server turned away each second; `apex`,
    `leaf` and `weight` are those of a TrafficSplit, which has a row for each of its leaves.
    """

    namespace: str
    type: str
    name: str
    status: str
    meshed: int | None
    running: int | None
    failed: int
    server: str
    refused_rps: float | None
    apex: str
    leaf: str
    weight: str
    stats: ListedStats | None


class Table(TypedDict):
    """The things of one kind, by namespace and name."""

    type: str
    rows: list[Row]


class Stat(TypedDict):
    """The answer: one table, or one for each kind of `all`."""

    tables: list[Table]


@dataclass(slots=True)
class Stats(Requests):
    """Of one row over the window, as it is summed up: requests, and connections."""

    over_tls: float = 0.0
    tcp_open_connections: float = 0.0
    tcp_read_bytes: float = 0.0
    tcp_write_bytes: float = 0.0

    def listed(self) -> ListedStats:
        """As it is answered."""
        return {
            **self.requests(),
            "tls_percent": 100.0 * self.over_tls / self.total if self.total else None,
            "tcp_open_connections": int(self.tcp_open_connections),
            "tcp_read_bytes_rate": self.tcp_read_bytes / self.window_s,
            "tcp_write_bytes_rate": self.tcp_write_bytes / self.window_s,
        }


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
    if kind in POLICIES:
        return await _policy_rows(query, kind=kind, metrics=metrics, mesh=mesh, window=window)
    if kind is Kind.TRAFFICSPLIT:
        return await _split_rows(query, metrics=metrics, mesh=mesh, window=window)
    found = await _stats(request_selection(query, kind=kind), metrics=metrics, window=window)
    by_name = {_name_of(group): stats for group, stats in found.items()}
    if kind is Kind.AUTHORITY:
        things = [Thing(key) for key in by_name if key.name]
    else:
        wanted = Resource(kind, query.target.namespace, query.target.name)
        things = [one for one in await things_of(wanted, mesh=mesh) if query.selector(one.labels)]
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
        metrics.quantiles(LATENCIES, selection=selection, window=window, wanted=QUANTILES),
        metrics.latest(OPEN_CONNECTIONS, selection=tcp, at_ms=end_ms),
        metrics.sum_increase(READ_BYTES, selection=tcp, window=window),
        metrics.sum_increase(WRITTEN_BYTES, selection=tcp, window=window),
    )
    rows: defaultdict[Group, Stats] = defaultdict(lambda: Stats(window.length_ms / 1000))
    async for (*group, classification, tls), count in in_slices(responses.items()):
        stats = rows[tuple(group)]
        stats.add(count, classification=classification)
        stats.over_tls += count if tls == "true" else 0.0
    async for latency_group, values in in_slices(latencies.items()):
        rows[latency_group].latencies_ms = milliseconds(values)
    async for tcp_group in in_slices(open_now.keys() | read.keys() | written.keys()):
        stats = rows[tcp_group]
        stats.tcp_open_connections = open_now.get(tcp_group, 0.0)
        stats.tcp_read_bytes = read.get(tcp_group, 0.0)
        stats.tcp_write_bytes = written.get(tcp_group, 0.0)
    return rows


async def _policy_rows(
    query: StatQuery, *, kind: Kind, metrics: MetricsStore, mesh: Mesh, window: Window
) -> list[Row]:
    wanted = Resource(kind, query.target.namespace, query.target.name)
    things = [one for one in await things_of(wanted, mesh=mesh) if query.selector(one.labels)]
    traffic = await policy_traffic(kind, metrics=metrics, window=window)
    nothing = PolicyTraffic(Requests(query.window_s))
    rows = []
    async for thing in in_slices(sorted(things, key=lambda thing: thing.key)):
        for one in sorted(traffic.get(thing.key, (nothing,)), key=lambda one: one.server):
            row = _row(thing, kind=kind, stats=_policy_stats(one) if one.is_some else None)
            row["server"], row["refused_rps"] = one.server, one.refused_rps
            rows.append(row)
    return rows


def _policy_stats(traffic: PolicyTraffic) -> Stats:
    requests, connections = traffic.requests, traffic.connections
    stats = Stats(requests.window_s, requests.success, requests.failure, requests.latencies_ms)
    if connections:
        stats.tcp_open_connections = connections.open
        stats.tcp_read_bytes, stats.tcp_write_bytes = connections.read, connections.written
    return stats


async def _split_rows(
    query: StatQuery, *, metrics: MetricsStore, mesh: Mesh, window: Window
) -> list[Row]:
    own = own_labels(query.source) if query.source else {}
    labels = ("authority", "dst_namespace", "dst_service")
    selection = Selection({**own, "direction": "outbound"}, labels)
    by_authority = await _stats(selection, metrics=metrics, window=window)
    found = {
        (service_of(authority), Key(namespace, service)): stats
        for (authority, namespace, service), stats in by_authority.items()
    }
    wanted = query.target
    rows: list[Row] = []
    async for leaf in in_slices(sorted(leaves_of(mesh))):
        if wanted.name in {"", leaf.split.name} and wanted.namespace in {"", leaf.split.namespace}:
            stats = found.get((leaf.apex, leaf.service))
            if stats is not None or not query.filtered:
                row = _row(Thing(leaf.split), kind=Kind.TRAFFICSPLIT, stats=stats)
                row["apex"], row["leaf"] = leaf.apex.name, leaf.service.name
                row["weight"] = leaf.weight
                rows.append(row)
    return rows


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
        "server": "",
        "refused_rps": None,
        "apex": "",
        "leaf": "",
        "weight": "",
        "stats": stats.listed() if stats else None,
    }
