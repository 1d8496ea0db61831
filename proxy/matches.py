"""Which requests routes of HTTP and gRPC mean: from the messages of policy to values, in the order in which
they are looked at, and from there to the engine's conditions.

The order is that of the Gateway API: the most specific host, then path, method, fields and parameters; of
equals the first. A pattern counts as less than a whole path and more than a beginning. All of it is known
before a request comes, so that the first condition that holds decides.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from linkerd2_py._ext.policy import match as conditions
from linkerd2_py._ext.policy.match import Condition
from linkerd2_py._ext.policy.regex import Regex
from linkerd2_py._ext.policy.rules import RULES_MAX
from linkerd2_py.proto.gen import grpc_route_pb2 as grpc_route
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.patterns import Patterns


class Paths(enum.Enum):
    """How a path is meant."""

    ALL = "all"
    WHOLE = "whole"
    BELOW = "below"
    PATTERN = "pattern"


class Value(NamedTuple):
    """A condition on a field or a parameter."""

    name: str
    value: bytes
    is_pattern: bool = False


class Match(NamedTuple):
    """All of it must hold. `host`: any where it is empty, those below one where it begins with `*.`."""

    host: str = ""
    paths: Paths = Paths.ALL
    path: str = ""
    method: str = ""
    fields: tuple[Value, ...] = ()
    parameters: tuple[Value, ...] = ()

    @property
    def beginning(self) -> int | None:
        """How many bytes of a path it means as its beginning; None: it means whole paths, or a pattern."""
        if self.paths is Paths.ALL:
            return 0
        return len(self.path.encode()) if self.paths is Paths.BELOW else None


EVERYTHING: Final = Match()


class Step(NamedTuple):
    """Requests, and whose they are: the number of the route, and of the rule among those of all routes."""

    match: Match
    route: int
    rule: int = 0


def steps_of(routes: Iterable[Any]) -> tuple[Step, ...]:
    """In the order in which they are looked at, of routes of HTTP or gRPC of either direction. ValueError for
    what cannot be understood, or is too much.
    """
    ranked: list[tuple[_Rank, Step]] = []
    rules = ((number, route, rule) for number, route in enumerate(routes) for rule in route.rules)
    for at, (number, route, rule) in enumerate(rules):
        found = _matches(route, rule.matches)
        for host_rank, host in _hosts(route.hosts):
            ranked += [
                ((*host_rank, *rank), Step(match._replace(host=host), number, at))
                for rank, match in found
            ]
        if len(ranked) > RULES_MAX:
            raise ValueError(f"routes with more than {RULES_MAX} conditions")
    return tuple(step for _, step in sorted(ranked, key=lambda one: one[0]))


def means_all(messages: Iterable[Any]) -> bool:
    """Whether these conditions of one rule leave no request out. ValueError for one that is wrong."""
    found = [_ranked(one)[1] for one in messages]
    return not found or EVERYTHING in found


def condition_of(match: Match, *, patterns: Patterns) -> Condition:
    """ValueError for a pattern that is not supported."""
    parts = [*_path_conditions(match, patterns)]
    if match.host:
        below = match.host.removeprefix("*.")
        on_host = conditions.host if below == match.host else conditions.host_below
        parts.append(on_host(below.encode()))
    if match.method:
        parts.append(conditions.method(match.method.encode()))
    for make, values in ((conditions.header, match.fields), (conditions.query, match.parameters)):
        parts += [make(one.name.encode(), _meant(one, patterns)) for one in values]
    return parts[0] if len(parts) == 1 else conditions.all_of(parts)


def _path_conditions(match: Match, patterns: Patterns) -> Iterator[Condition]:
    if match.paths is Paths.WHOLE:
        yield conditions.path(match.path.encode())
    elif match.paths is Paths.BELOW:
        yield conditions.path_prefix(match.path.encode())
    elif match.paths is Paths.PATTERN:
        yield conditions.path_regex(patterns.compiled(match.path))


def _meant(one: Value, patterns: Patterns) -> bytes | Regex:
    return patterns.compiled(one.value.decode()) if one.is_pattern else one.value


# ---- ranks: the lesser, the earlier

_Rank = tuple[int, ...]
_ANYWHERE: Final[_Rank] = (2, 0)


def _hosts(messages: Sequence[http_route.HostMatch]) -> Iterator[tuple[_Rank, str]]:
    """A whole name before an ending, a long one before a short one."""
    if not messages:
        yield _ANYWHERE, ""
    for message in messages:
        kind = message.WhichOneof("match")
        if kind == "exact" and message.exact:
            yield (0, -len(message.exact)), message.exact
        elif kind == "suffix" and message.suffix.reverse_labels:
            name = ".".join(reversed(message.suffix.reverse_labels))
            yield (1, -len(name)), f"*.{name}"
        else:
            raise ValueError("a condition on hosts that says nothing")


def _matches(route: Any, messages: Sequence[Any]) -> list[tuple[_Rank, Match]]:
    """Those of a rule without conditions mean everything."""
    is_grpc = isinstance(route, inbound.GrpcRoute | outbound.GrpcRoute)
    nothing = grpc_route.GrpcRouteMatch() if is_grpc else http_route.HttpRouteMatch()
    return [_ranked(one) for one in messages or (nothing,)]


def _ranked(message: Any) -> tuple[_Rank, Match]:
    return (_of_grpc if isinstance(message, grpc_route.GrpcRouteMatch) else _of_http)(message)


def _of_http(message: http_route.HttpRouteMatch) -> tuple[_Rank, Match]:
    paths, path = _path(message)
    match = Match(
        paths=paths,
        path=path,
        method=_method(message.method),
        fields=tuple(_field(one) for one in message.headers),
        parameters=tuple(_parameter(one) for one in message.query_params),
    )
    more = (-bool(match.method), -len(match.fields), -len(match.parameters))
    return (*_rank_of_path(match), *more), match


def _path(message: http_route.HttpRouteMatch) -> tuple[Paths, str]:
    if not message.HasField("path"):
        return Paths.ALL, ""
    kind = message.path.WhichOneof("kind")
    if kind is None:
        raise ValueError("a condition on paths that says nothing")
    text = getattr(message.path, kind)
    if kind == "prefix":
        text = text.rstrip("/")
        return (Paths.BELOW, text) if text else (Paths.ALL, "")
    return (Paths.WHOLE if kind == "exact" else Paths.PATTERN), text


def _rank_of_path(match: Match) -> _Rank:
    length = -len(match.path.encode())
    if match.paths is Paths.WHOLE:
        return 0, length
    return (1, 0) if match.paths is Paths.PATTERN else (2, length)


def _of_grpc(message: grpc_route.GrpcRouteMatch) -> tuple[_Rank, Match]:
    """The longer the service, then the method, the earlier. A call is a POST to /SERVICE/METHOD; what names
    none means every request, so that a port of gRPC may be asked for something else, too.
    """
    service, method = message.rpc.service, message.rpc.method
    fields = tuple(_field(one) for one in message.headers)
    rank = (-len(service.encode()), -len(method.encode()), 0, -len(fields), 0)
    if not (service or method or fields):
        return rank, EVERYTHING
    paths, path = _path_of_call(service, method)
    return rank, Match(paths=paths, path=path, method="POST", fields=fields)


def _path_of_call(service: str, method: str) -> tuple[Paths, str]:
    if service and method:
        return Paths.WHOLE, f"/{service}/{method}"
    if service:
        return Paths.BELOW, f"/{service}"
    return Paths.PATTERN, f"/[^/]+/{_quoted(method) if method else '[^/]+'}"


def _quoted(text: str) -> str:
    return "".join(f"\\{one}" if one in r"\.+*?()|[]{}^$" else one for one in text)


# ---- what is the same in both


def _field(message: http_route.HeaderMatch) -> Value:
    kind = message.WhichOneof("value")
    if kind is None or not message.name:
        raise ValueError("a condition on a header that says nothing")
    if kind == "regex":
        return Value(message.name, message.regex.encode(), is_pattern=True)
    return Value(message.name, message.exact)


def _parameter(message: http_route.QueryParamMatch) -> Value:
    kind = message.WhichOneof("value")
    if kind is None or not message.name:
        raise ValueError("a condition on a parameter that says nothing")
    return Value(message.name, getattr(message, kind).encode(), is_pattern=kind == "regex")


def _method(message: http_types.HttpMethod) -> str:
    kind = message.WhichOneof("type")
    if kind is None:
        return ""
    if kind == "registered" and message.registered in http_types.HttpMethod.Registered.values():
        return http_types.HttpMethod.Registered.Name(message.registered)
    if kind == "unregistered" and message.unregistered:
        return message.unregistered
    raise ValueError("a method has no name")
