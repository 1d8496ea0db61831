# cython: language_level=3
"""Python doors to conditions and tables. Not part of a wheel."""

from linkerd2_py._ext.exchange.head cimport Head, drop_head, field_id, take_head
from linkerd2_py._ext.exchange.plan cimport Plan, ResponseClasses
from linkerd2_py._ext.metrics.http cimport CLASS_FAILURE
from linkerd2_py._ext.policy.connections cimport ConnectionRoute, ConnectionRoutes
from linkerd2_py._ext.policy.match cimport Condition, Line, holds_at, line_of
from linkerd2_py._ext.policy.route_table cimport RouteTable


cdef Head head_of(bytes method, bytes path, list fields, bytes authority):
    cdef Head head = take_head()
    cdef bytes name, value
    head.method.ptr = method
    head.method.len = len(method)
    head.path.ptr = path
    head.path.len = len(path)
    head.authority.ptr = authority
    head.authority.len = len(authority)
    for name, value in fields:
        head.add(name, len(name), value, len(value), field_id(name, len(name)), 0)
    return head


def holds(
    Condition condition not None, bytes path=b"/", bytes method=b"GET", object fields=(),
    bytes authority=b"",
):
    cdef list kept = list(fields)
    cdef Head head = head_of(method, path, kept, authority)
    cdef Line line = line_of(head)
    try:
        return holds_at(condition.steps, 0, head, &line)
    finally:
        drop_head(head)


def plan_for(
    RouteTable table not None, bytes path=b"/", bytes method=b"GET", object fields=(), bytes authority=b"",
):
    cdef list kept = list(fields)
    cdef Head head = head_of(method, path, kept, authority)
    try:
        return table.plan_for(head)
    finally:
        drop_head(head)


def labels_of(Plan plan not None):
    return None if plan.metrics is None else plan.metrics.labels


def counts_as(ResponseClasses classes not None, int status):
    if not classes.says(status):
        return None
    return "failure" if classes.of(status) == CLASS_FAILURE else "success"


def connection_route(ConnectionRoutes routes not None, bytes name):
    return routes.route_for(name)


def connection_way(ConnectionRoute route not None):
    return route.pick()
