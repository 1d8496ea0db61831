from collections.abc import Iterable
from typing import TypeAlias

from linkerd2_py._ext.exchange.plan import Plan, ResponseClasses
from linkerd2_py._ext.policy.connections import (
    ConnectionRoute,
    ConnectionRoutes,
    ConnectionWay,
)
from linkerd2_py._ext.policy.match import Condition
from linkerd2_py._ext.policy.route_table import RouteTable

Fields: TypeAlias = Iterable[tuple[bytes, bytes]]

def holds(
    condition: Condition,
    path: bytes = b"/",
    method: bytes = b"GET",
    fields: Fields = (),
    authority: bytes = b"",
) -> bool: ...
def plan_for(
    table: RouteTable,
    path: bytes = b"/",
    method: bytes = b"GET",
    fields: Fields = (),
    authority: bytes = b"",
) -> Plan | None: ...
def labels_of(plan: Plan) -> bytes | None: ...
def counts_as(classes: ResponseClasses, status: int) -> str | None: ...
def connection_route(routes: ConnectionRoutes, name: bytes | None) -> ConnectionRoute | None: ...
def connection_way(route: ConnectionRoute) -> ConnectionWay: ...
