"""The rows of `stat` about policies: what their proxies let in and refused, by the names of Servers,
routes and authorizations that requests are labelled with.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.metrics.families import (
    DENIED,
    OPEN_CONNECTIONS,
    READ_BYTES,
    WRITTEN_BYTES,
)
from linkerd2_py.controlplane.metrics.store import Group, MetricsStore, Selection, Window
from linkerd2_py.controlplane.public_api.answers.traffic import Requests, requests_of
from linkerd2_py.controlplane.public_api.kinds import Kind

# The label that names each, and what says that it is one.
_LABELS: Final[Mapping[Kind, tuple[str, Mapping[str, str]]]] = {
    Kind.SERVER: ("srv_name", {"srv_kind": "server"}),
    Kind.SERVERAUTHORIZATION: ("authz_name", {"authz_kind": "serverauthorization"}),
    Kind.AUTHORIZATIONPOLICY: ("authz_name", {"authz_kind": "authorizationpolicy"}),
    Kind.HTTPROUTE: ("route_name", {"route_kind": "HTTPRoute"}),
}
# Those that refuse: nobody is refused by what would let him in.
_REFUSING: Final = frozenset({Kind.SERVER, Kind.HTTPROUTE})


@dataclass(frozen=True, slots=True)
class Connections:
    """Of a Server."""

    open: float
    read: float
    written: float


@dataclass(frozen=True, slots=True)
class PolicyTraffic:
    """Of one policy; a route has such of each Server that it is attached to. `refused_rps` is None of what
    cannot refuse.
    """

    requests: Requests
    server: str = ""
    refused_rps: float | None = None
    connections: Connections | None = None

    @property
    def is_some(self) -> bool:
        """Whether anything happened at all."""
        return bool(self.requests.total or self.refused_rps or self.connections)


async def policy_traffic(
    kind: Kind, *, metrics: MetricsStore, window: Window
) -> Mapping[Key, list[PolicyTraffic]]:
    """Of all policies of a kind that had any."""
    label, matching = _LABELS[kind]
    by_server = ("srv_name",) if kind is Kind.HTTPROUTE else ()
    # What a kubelet asks is none of it, as in other stats.
    without = {"route_name": "probe"} if kind is Kind.SERVER else {}
    selection = Selection(matching, ("namespace", label, *by_server), without=without)
    inbound = replace(selection, matching={**matching, "direction": "inbound"})
    requests, refused, connections = await asyncio.gather(
        requests_of(inbound, metrics=metrics, window=window),
        _refused(kind, selection, metrics=metrics, window=window),
        _connections(kind, inbound, metrics=metrics, window=window),
    )
    found: dict[Key, list[PolicyTraffic]] = {}
    seconds = window.length_ms / 1000
    async for group in in_slices(requests.keys() | refused.keys() | connections.keys()):
        traffic = PolicyTraffic(
            requests.get(group, Requests(seconds)),
            server=group[2] if by_server else "",
            refused_rps=refused.get(group, 0.0) / seconds if kind in _REFUSING else None,
            connections=connections.get(group),
        )
        if traffic.is_some:
            found.setdefault(Key(group[0], group[1]), []).append(traffic)
    return found


async def _refused(
    kind: Kind, selection: Selection, *, metrics: MetricsStore, window: Window
) -> Mapping[Group, float]:
    if kind not in _REFUSING:
        return {}
    return await metrics.sum_increase(DENIED, selection=selection, window=window)


async def _connections(
    kind: Kind, inbound: Selection, *, metrics: MetricsStore, window: Window
) -> Mapping[Group, Connections]:
    if kind is not Kind.SERVER:
        return {}
    arrived = replace(inbound, matching={**inbound.matching, "peer": "src"})
    open_now, read, written = await asyncio.gather(
        metrics.latest(OPEN_CONNECTIONS, selection=arrived, at_ms=window.end_ms),
        metrics.sum_increase(READ_BYTES, selection=arrived, window=window),
        metrics.sum_increase(WRITTEN_BYTES, selection=arrived, window=window),
    )
    return {
        group: Connections(count, read.get(group, 0.0), written.get(group, 0.0))
        for group, count in open_now.items()
    }
