"""`/api/v1/routes`: success, rate and latency of each route that the profile of a service names.

Plain routes are what the inbound proxies of a resource saw; with `to` they are what its outbound proxies saw
of the services of another. A request that no route of the profile means belongs to `[DEFAULT]`.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple, TypedDict

from linkerd2_py.base.names import service_name
from linkerd2_py.base.selectors import Requirement
from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Key, Service
from linkerd2_py.controlplane.mesh.service_profiles import ServiceProfile
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.families import (
    ROUTE_ACTUAL_RESPONSES,
    ROUTE_LATENCIES,
    ROUTE_RESPONSES,
)
from linkerd2_py.controlplane.metrics.store import Group, MetricsStore, Selection, Window
from linkerd2_py.controlplane.public_api.answers.stat_query import (
    MINUTE,
    SELECTOR,
    WINDOW,
    Length,
    check_window,
    everything,
    kind_parameter,
    own_labels,
)
from linkerd2_py.controlplane.public_api.answers.things import Thing, things_of
from linkerd2_py.controlplane.public_api.answers.traffic import (
    ListedRequests,
    Requests,
    requests_of,
)
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import (
    KIND_NAMES,
    WORKLOADS,
    Kind,
    Resource,
    parse_kind,
)
from linkerd2_py.controlplane.public_api.operation import Operation, Parameter

DEFAULT_ROUTE: Final = "[DEFAULT]"
_KINDS: Final = WORKLOADS | {Kind.NAMESPACE, Kind.POD, Kind.SERVICE}
_NAMES: Final = [name for name in KIND_NAMES if parse_kind(name) in _KINDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesAsked:
    """What is asked."""

    type: Annotated[Kind, kind_parameter("deploy, po, svc, ns …", names=_NAMES)]
    name: Annotated[str, Parameter("only the thing of this name")] = ""
    namespace: Annotated[str, Parameter("only of this namespace; all when absent")] = ""
    to_type: Annotated[Kind | None, kind_parameter("only calls to these", names=_NAMES)] = None
    to_name: Annotated[str, Parameter("only calls to the thing of this name")] = ""
    to_namespace: Annotated[str, Parameter("in this namespace, if another")] = ""
    selector: Annotated[Requirement, SELECTOR] = everything
    window: Annotated[Length, WINDOW] = MINUTE


class RouteStats(ListedRequests):
    """Requests as clients see them; `actual` is with every retry of a proxy, null where nobody counts
    that.
    """

    actual_success_rate: float | None
    actual_rps: float | None


class RouteRow(TypedDict):
    """One route of one service; stats are null where nobody asked for it."""

    route: str
    service: str
    authority: str
    stats: RouteStats | None


class RouteTable(TypedDict):
    """The routes of one thing, by service and route."""

    type: str
    namespace: str
    name: str
    rows: list[RouteRow]


class Routes(TypedDict):
    """The answer: a table for each thing that serves, or calls, a service."""

    tables: list[RouteTable]


class _Seen(NamedTuple):
    """What was asked for: host and port as clients name them, and the route, empty where none is meant."""

    authority: str
    route: str


def routes(mesh: Mesh, *, metrics: MetricsStore) -> Operation[RoutesAsked]:
    """The operation."""

    async def answer(asked: RoutesAsked) -> Routes:
        target, to = _checked(asked, longest_window_s=metrics.longest_window_s)
        window = Window(metrics.now_ms(), int(asked.window.seconds * 1000))
        tables: list[RouteTable] = []
        for thing in sorted(await _things(target, asked.selector, mesh), key=lambda one: one.key):
            services = await _services(thing, target.kind, mesh=mesh)
            if to is not None:
                servers = await things_of(to, mesh=mesh)
                services = [
                    service
                    for server in servers
                    for service in await _services(server, to.kind, mesh=mesh)
                ]
            asks = _Asks(thing, target.kind, outbound=to is not None, window=window)
            rows = await asks.rows(services, mesh=mesh, metrics=metrics)
            # Of many clients, those that call none of these services are of no interest.
            if rows and (to is None or target.name or any(row["stats"] for row in rows)):
                tables.append(_table(thing, kind=target.kind, rows=rows))
        return {"tables": tables}

    return Operation("/api/v1/routes", "Success of routes", RoutesAsked, Routes, answer)


def _checked(asked: RoutesAsked, *, longest_window_s: float) -> tuple[Resource, Resource | None]:
    """Whose routes, and of calls to what. Raises `InvalidQueryError`."""
    for kind in (asked.type, asked.to_type):
        if kind is not None and kind not in _KINDS:
            raise InvalidQueryError(
                f"resource type is not supported: {kind.value}; use deploy or svc"
            )
    check_window(asked.window, longest_s=longest_window_s)
    is_namespace = asked.type is Kind.NAMESPACE
    target = Resource(asked.type, "" if is_namespace else asked.namespace, asked.name)
    if asked.to_type is None:
        if asked.to_name or asked.to_namespace:
            raise InvalidQueryError("to_name and to_namespace need to_type")
        return target, None
    if asked.type is Kind.SERVICE:
        raise InvalidQueryError("the service resource type is not supported with 'to' queries")
    if asked.to_type is Kind.NAMESPACE:
        return target, Resource(asked.to_type, "", asked.to_name or asked.to_namespace)
    namespace = asked.to_namespace or asked.namespace
    return target, Resource(asked.to_type, namespace, asked.to_name)


async def _things(target: Resource, selector: Requirement, mesh: Mesh) -> list[Thing]:
    return [thing for thing in await things_of(target, mesh=mesh) if selector(thing.labels)]


async def _services(thing: Thing, kind: Kind, *, mesh: Mesh) -> list[Service]:
    """Those that a thing is, has in it, or serves."""
    if kind is Kind.SERVICE:
        return [mesh.services[thing.key]]
    if kind is Kind.NAMESPACE:
        found = {key for key in tuple(mesh.services) if key.namespace == thing.key.name}
    else:
        behind = [
            service
            async for pod in in_slices(thing.pods or ())
            for service in mesh.services_selecting(pod)
        ]
        found = {service.key for service in behind}
    return [mesh.services[key] for key in sorted(found)]


@dataclass(frozen=True, slots=True)
class _Asks:
    """What the proxies of one thing are asked."""

    thing: Thing
    kind: Kind
    outbound: bool
    window: Window

    async def rows(
        self, services: Sequence[Service], *, mesh: Mesh, metrics: MetricsStore
    ) -> list[RouteRow]:
        """Those of services, each once."""
        if not services:
            return []
        seen, actual = await asyncio.gather(self._seen(metrics), self._actual(metrics))
        by_host: defaultdict[str, dict[_Seen, Requests]] = defaultdict(dict)
        async for (authority, route), requests in in_slices(seen.items()):
            if requests.total:
                host = authority.rpartition(":")[0] or authority
                by_host[host][_Seen(authority, route)] = requests
        found = {service.key: service for service in services}
        rows: list[RouteRow] = []
        async for key in in_slices(sorted(found)):
            name = service_name(key.name, namespace=key.namespace)
            profile = profile_of(found[key], client=self._client, mesh=mesh)
            rows += _rows_of(key, _Traffic(by_host[name], actual, self._window_s), profile)
        return rows

    @property
    def _client(self) -> str:
        """In whose namespace a profile may say something else; empty where it is about servers."""
        key = self.thing.key
        return (key.namespace or key.name) if self.outbound else ""

    @property
    def _window_s(self) -> float:
        return self.window.length_ms / 1000

    def _selection(self) -> Selection:
        matching = {"direction": "outbound" if self.outbound else "inbound"}
        if self.kind is not Kind.SERVICE:
            # What calls of a service have in common is whom they name, not who answers.
            matching |= own_labels(Resource(self.kind, *self.thing.key))
        return Selection(matching, ("dst", "rt_route"))

    async def _seen(self, metrics: MetricsStore) -> Mapping[Group, Requests]:
        return await requests_of(
            self._selection(),
            metrics=metrics,
            window=self.window,
            responses=ROUTE_RESPONSES,
            latencies=ROUTE_LATENCIES,
        )

    async def _actual(self, metrics: MetricsStore) -> Mapping[_Seen, Requests]:
        if not self.outbound:
            return {}
        selection = self._selection()
        by_outcome = Selection(selection.matching, (*selection.group_by, "classification"))
        counts = await metrics.sum_increase(
            ROUTE_ACTUAL_RESPONSES, selection=by_outcome, window=self.window
        )
        found: dict[_Seen, Requests] = {}
        async for (authority, route, outcome), count in in_slices(counts.items()):
            sums = found.setdefault(_Seen(authority, route), Requests(self._window_s))
            sums.add(count, classification=outcome)
        return found


@dataclass(frozen=True, slots=True)
class _Traffic:
    """Of one service: what was seen, and what retries made of it."""

    seen: Mapping[_Seen, Requests]
    actual: Mapping[_Seen, Requests]
    window_s: float


def profile_of(service: Service, *, client: str, mesh: Mesh) -> ServiceProfile | None:
    """The profile that holds for a service: a client's namespace has a say first."""
    name = service_name(service.name, namespace=service.namespace)
    keys = [Key(namespace, name) for namespace in (client, service.namespace) if namespace]
    return next((mesh.service_profiles[key] for key in keys if key in mesh.service_profiles), None)


def _rows_of(service: Key, traffic: _Traffic, profile: ServiceProfile | None) -> Iterable[RouteRow]:
    """The routes of the profile and the default, and whatever else had traffic: what an older profile named.

    A service that is called at several ports has rows for each.
    """
    host = service_name(service.name, namespace=service.namespace)
    authorities = sorted({seen.authority for seen in traffic.seen}) or [host]
    named = [route.name for route in profile.routes] if profile else []
    for authority in authorities:
        others = {seen.route for seen in traffic.seen if seen.authority == authority}
        names = dict.fromkeys([*named, *sorted(others - {""}), ""])
        port = authority.removeprefix(host) if len(authorities) > 1 else ""
        for route in sorted(names, key=lambda name: name or DEFAULT_ROUTE):
            yield {
                "route": route or DEFAULT_ROUTE,
                "service": f"{service.name}{port}",
                "authority": authority,
                "stats": _stats(_Seen(authority, route), traffic),
            }


def _stats(seen: _Seen, traffic: _Traffic) -> RouteStats | None:
    requests = traffic.seen.get(seen)
    if requests is None:
        return None
    actual = traffic.actual.get(seen)
    return {
        **requests.requests(),
        "actual_success_rate": actual.success_rate if actual else None,
        "actual_rps": actual.rps if actual else None,
    }


def _table(thing: Thing, *, kind: Kind, rows: list[RouteRow]) -> RouteTable:
    namespace, name = thing.key
    return {"type": kind.value, "namespace": namespace, "name": name, "rows": rows}
