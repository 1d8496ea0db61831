"""What outbound policy says of requests, as values: rules with their conditions, in the order in which they
are tried.

Which rule a request follows is decided as Gateway API says and Linkerd's proxy does it: the one with the
most specific host, then path, then with more conditions on fields, on parameters, on the method; of equals
the first. How specific a path is, is how long a piece of the request's own path a condition means. Whole
paths (exact ones, patterns, and prefixes that are the path) are thus alike and come before all prefixes of
longer paths: so each prefix stands in two places, and the order is the same for all requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

from linkerd2_py._ext.policy.rules import RULES_MAX
from linkerd2_py.proto.gen import grpc_route_pb2 as grpc_route
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.discovery.object_ref import ObjectRef
from linkerd2_py.proxy.discovery.ways import Refused, Way


class Value(NamedTuple):
    """A condition on a field or a parameter."""

    name: str
    value: bytes
    is_regex: bool


class Match(NamedTuple):
    """All of it must hold. `host`: "" is any, `*.` stands before those below one."""

    host: str = ""
    path_kind: Literal["any", "exact", "prefix", "regex"] = "any"
    path: str = ""
    method: str = ""
    headers: tuple[Value, ...] = ()
    parameters: tuple[Value, ...] = ()


class Destination(NamedTuple):
    """One of the backends of a rule."""

    way: Way
    weight: int
    backend: ObjectRef


class Injected(NamedTuple):
    """What `share` of `of` requests are answered instead."""

    refused: Refused
    share: int = 1
    of: int = 1


class Rule(NamedTuple):
    """What becomes of the requests that it means."""

    route: ObjectRef
    destinations: tuple[Destination, ...]
    injected: Injected | None = None


class Step(NamedTuple):
    """A condition, and which of the rules its requests follow."""

    match: Match
    rule: int


class Routes(NamedTuple):
    """`steps` in the order in which they are tried; a request that none of them means has no route."""

    parent: ObjectRef
    rules: tuple[Rule, ...]
    steps: tuple[Step, ...]
    grpc: bool = False


class HttpRoutes(NamedTuple):
    """Of a target: those of HTTP/1, and those of HTTP/2 where they are others."""

    routes: Routes
    of_http2: Routes | None = None


_Rank = tuple[int, ...]
_ROOT: Final = "/"
_ANY_RPC: Final = r"/[^/]*/.*"


def steps(routes: Iterable[Any]) -> tuple[Step, ...]:
    """Those of all rules of these routes, numbered in their order. ValueError for what cannot be
    understood, or is too much.
    """
    ranked: list[tuple[_Rank, Step]] = []
    number = 0
    for route in routes:
        hosts = list(_hosts(route.hosts))
        of_rule: Any = _of_grpc if isinstance(route, outbound.GrpcRoute) else _of_http
        for rule in route.rules:
            found = list(of_rule(rule.matches))
            ranked += [
                ((*host_rank, *rank, number), Step(match._replace(host=host), number))
                for host_rank, host in hosts
                for rank, match in found
            ]
            number += 1
            if len(ranked) > RULES_MAX:
                raise ValueError(f"routes with more than {RULES_MAX} conditions")
    return tuple(step for _rank, step in sorted(ranked, key=lambda one: one[0]))


# ---- hosts: a whole name before an ending, a long one before a short one


def _hosts(messages: Iterable[http_route.HostMatch]) -> Iterator[tuple[_Rank, str]]:
    found = [_host(one) for one in messages]
    return iter(found or [((2, 0), "")])


def _host(message: http_route.HostMatch) -> tuple[_Rank, str]:
    kind = message.WhichOneof("match")
    if kind == "exact":
        return (0, -len(message.exact)), message.exact
    labels = message.suffix.reverse_labels
    if kind is None or not labels:
        raise ValueError("a condition on hosts that says nothing")
    return (1, -sum(len(label) + 1 for label in labels)), "*." + ".".join(reversed(labels))


# ---- HTTP


def _of_http(messages: Iterable[http_route.HttpRouteMatch]) -> Iterator[tuple[_Rank, Match]]:
    for message in messages or (http_route.HttpRouteMatch(),):
        match = Match(
            method=_method(message.method),
            headers=tuple(map(_header, message.headers)),
            parameters=tuple(map(_parameter, message.query_params)),
        )
        more = (-len(match.headers), -len(match.parameters), -bool(match.method))
        for path_rank, kind, path in _paths(message):
            yield (*path_rank, *more), match._replace(path_kind=kind, path=path)


def _paths(message: http_route.HttpRouteMatch) -> Iterator[tuple[_Rank, Any, str]]:
    """0: the whole path; 1: a piece of it, the longer the better."""
    kind = message.path.WhichOneof("kind") if message.HasField("path") else "any"
    if kind is None:
        raise ValueError("a condition on paths that says nothing")
    if kind in {"exact", "regex"}:
        yield (0, 0), kind, getattr(message.path, kind)
        return
    prefix = _ROOT if kind == "any" else message.path.prefix
    if prefix == _ROOT:
        yield (0, 0), "exact", _ROOT
        yield (1, -1), "any", ""
        return
    prefix = prefix.rstrip("/")
    if prefix:
        yield (0, 0), "exact", prefix
    yield (1, -len(prefix.encode())), "prefix", prefix


def _header(message: http_route.HeaderMatch) -> Value:
    kind = message.WhichOneof("value")
    if kind is None or not message.name:
        raise ValueError("a condition on a header that says nothing")
    if kind == "regex":
        return Value(message.name, message.regex.encode(), is_regex=True)
    return Value(message.name, message.exact, is_regex=False)


def _parameter(message: http_route.QueryParamMatch) -> Value:
    kind = message.WhichOneof("value")
    if kind is None or not message.name:
        raise ValueError("a condition on a parameter that says nothing")
    return Value(message.name, getattr(message, kind).encode(), is_regex=kind == "regex")


def _method(message: http_types.HttpMethod) -> str:
    kind = message.WhichOneof("type")
    if kind is None:
        return ""
    if kind == "unregistered":
        if not message.unregistered:
            raise ValueError("a method has no name")
        return message.unregistered
    if message.registered not in http_types.HttpMethod.Registered.values():
        raise ValueError(f"{message.registered} is no method")
    return http_types.HttpMethod.Registered.Name(message.registered)


# ---- gRPC: the longer its service, then its method, the better


def _of_grpc(messages: Iterable[grpc_route.GrpcRouteMatch]) -> Iterator[tuple[_Rank, Match]]:
    found = list(messages)
    if not found:
        yield (0, 0, 0, 0, 0), Match()
    for message in found:
        if not message.HasField("rpc"):
            raise ValueError("a condition on gRPC without a procedure")
        service, method = message.rpc.service, message.rpc.method
        headers = tuple(map(_header, message.headers))
        rank = (-len(service.encode()), -len(method.encode()), -len(headers), 0, 0)
        for kind, path in _rpc_paths(service, method):
            yield rank, Match(path_kind=kind, path=path, method="POST", headers=headers)


def _rpc_paths(service: str, method: str) -> Iterator[tuple[Any, str]]:
    """Pieces behind a method's name do not count."""
    if service and method:
        yield "prefix", f"/{service}/{method}"
    elif service:
        yield "regex", f"/{_quoted(service)}/.*"
    elif method:
        yield "regex", f"/[^/]*/{_quoted(method)}(/.*)?"
    else:
        yield "regex", _ANY_RPC


def _quoted(text: str) -> str:
    return "".join(f"\\{one}" if one in r"\.+*?()|[]{}^$" else one for one in text)
