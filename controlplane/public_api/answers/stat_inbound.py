"""`/api/v1/stat-inbound` and `/api/v1/authz`: what the inbound proxies of a resource saw, by the Server
and the route that a request was for, or by what let it in.
"""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple, TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.metrics.families import DENIED
from linkerd2_py.controlplane.metrics.store import MetricsStore, Selection, Window
from linkerd2_py.controlplane.public_api.answers.stat_query import (
    MINUTE,
    WINDOW,
    Length,
    check_window,
    kind_parameter,
    own_labels,
)
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

_KINDS: Final = WORKLOADS | {Kind.NAMESPACE, Kind.POD}
KINDS_WITH_PROXIES: Final = [name for name in KIND_NAMES if parse_kind(name) in _KINDS]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxiesAsked:
    """Whose proxies are asked, of which time."""

    type: Annotated[Kind, kind_parameter("po, ns, or what owns pods", names=KINDS_WITH_PROXIES)]
    name: Annotated[str, Parameter("only the thing of this name")] = ""
    namespace: Annotated[str, Parameter("only of this namespace; all when absent")] = ""
    window: Annotated[Length, WINDOW] = MINUTE

    @property
    def resource(self) -> Resource:
        """What is meant. A namespace is in none."""
        namespace = "" if self.type is Kind.NAMESPACE else self.namespace
        return Resource(self.type, namespace, self.name)

    def checked(self, metrics: MetricsStore) -> Window:
        """The window that ends now. Raises `InvalidQueryError`."""
        if self.type not in _KINDS:
            raise InvalidQueryError(f"a {self.type} has no proxies: use po, ns, or what owns pods")
        check_window(self.window, longest_s=metrics.longest_window_s)
        return Window(metrics.now_ms(), int(self.window.seconds * 1000))


class Named(TypedDict):
    """An object of policy, or a default: its kind as it is labelled, and its name."""

    kind: str
    name: str


class InboundRow(TypedDict):
    """Requests to one route of one port."""

    namespace: str
    name: str
    server: Named
    port: str
    route: Named
    stats: ListedRequests


class StatInbound(TypedDict):
    """The answer, by namespace, name, Server, port and route."""

    rows: list[InboundRow]


class AuthzRow(TypedDict):
    """What one authorization let in, or what none did: then its name is empty, and it has a rate of
    refusals.
    """

    route: Named
    server: Named
    authorization: Named
    refused_rps: float
    stats: ListedRequests | None


class Authz(TypedDict):
    """The answer, by Server, route and authorization."""

    rows: list[AuthzRow]


class _Policy(NamedTuple):
    """The labels of what a request was for, and of what let it in."""

    server_kind: str
    server: str
    route_kind: str
    route: str
    authorization_kind: str
    authorization: str


_POLICY_LABELS: Final = (
    *("srv_kind", "srv_name", "route_kind", "route_name"),
    *("authz_kind", "authz_name"),
)


def stat_inbound(*, metrics: MetricsStore) -> Operation[ProxiesAsked]:
    """The operation."""

    async def answer(asked: ProxiesAsked) -> StatInbound:
        window = asked.checked(metrics)
        own = ("namespace",) if asked.type is Kind.NAMESPACE else ("namespace", asked.type.label)
        labels = (*own, "srv_kind", "srv_name", "target_port", "route_kind", "route_name")
        matching = {**own_labels(asked.resource), "direction": "inbound"}
        found = await requests_of(Selection(matching, labels), metrics=metrics, window=window)
        groups = sorted((group, requests) for group, requests in found.items() if requests.total)
        rows: list[InboundRow] = []
        async for group, requests in in_slices(groups):
            server_kind, server, port, route_kind, route = group[-5:]
            rows.append(
                {
                    "namespace": group[0],
                    "name": group[len(own) - 1],
                    "server": {"kind": server_kind, "name": server},
                    "port": port,
                    "route": {"kind": route_kind, "name": route},
                    "stats": requests.requests(),
                }
            )
        return {"rows": rows}

    summary = "Success of what arrived, by Server and route"
    return Operation("/api/v1/stat-inbound", summary, ProxiesAsked, StatInbound, answer)


def authz(*, metrics: MetricsStore) -> Operation[ProxiesAsked]:
    """The operation."""

    async def answer(asked: ProxiesAsked) -> Authz:
        window = asked.checked(metrics)
        own = own_labels(asked.resource)
        inbound = Selection({**own, "direction": "inbound"}, _POLICY_LABELS)
        # Counters of refusals say no direction: there is only one.
        refused_by = Selection(own, _POLICY_LABELS)
        let_in, refused = await asyncio.gather(
            requests_of(inbound, metrics=metrics, window=window),
            metrics.sum_increase(DENIED, selection=refused_by, window=window),
        )
        rows = [
            _authz_row(_Policy(*group), let_in.get(group), refused.get(group, 0.0), window=window)
            async for group in in_slices(sorted(let_in.keys() | refused.keys()))
        ]
        return {
            "rows": sorted((row for row in rows if row["stats"] or row["refused_rps"]), key=_by)
        }

    summary = "Success of what each authorization let in, and what none did"
    return Operation("/api/v1/authz", summary, ProxiesAsked, Authz, answer)


def _authz_row(
    policy: _Policy, requests: Requests | None, refused: float, *, window: Window
) -> AuthzRow:
    busy = requests is not None and requests.total
    return {
        "route": {"kind": policy.route_kind, "name": policy.route},
        "server": {"kind": policy.server_kind, "name": policy.server},
        "authorization": {"kind": policy.authorization_kind, "name": policy.authorization},
        "refused_rps": refused * 1000 / window.length_ms,
        "stats": requests.requests() if requests is not None and busy else None,
    }


def _by(row: AuthzRow) -> tuple[str, str, str]:
    return row["server"]["name"], row["route"]["name"], row["authorization"]["name"]
