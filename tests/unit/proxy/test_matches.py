"""Which route a request is of: the engine's answer, beside one that is worked out as the Gateway API says."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.policy.route_table import RouteTable
from linkerd2_py._ext.policy.rules import RULES_MAX
from linkerd2_py._ext.policy.testing import plan_for
from linkerd2_py.proto.gen import grpc_route_pb2 as grpc_route
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.matches import EVERYTHING, condition_of, means_all, steps_of
from linkerd2_py.proxy.patterns import Patterns


class Asked(NamedTuple):
    """A request."""

    path: str = "/"
    method: str = "GET"
    host: str = "web.shop"
    fields: tuple[tuple[str, str], ...] = ()


def table_of(routes: list[Any]) -> tuple[RouteTable, list[Plan]]:
    """With a plan for each route."""
    plans = [Plan() for _ in routes]
    patterns = Patterns()
    steps = steps_of(routes)
    rules = [(condition_of(one.match, patterns=patterns), plans[one.route]) for one in steps]
    return RouteTable(rules), plans


def route_of(routes: list[Any], asked: Asked) -> int | None:
    """The engine's answer."""
    table, plans = table_of(routes)
    fields = [(name.encode(), value.encode()) for name, value in asked.fields]
    found = plan_for(
        table, asked.path.encode(), asked.method.encode(), fields, authority=asked.host.encode()
    )
    return None if found is None else plans.index(found)


def http(*matches: http_route.HttpRouteMatch, hosts: tuple[str, ...] = ()) -> inbound.HttpRoute:
    made = inbound.HttpRoute()
    made.rules.add().matches.extend(matches)
    for host in hosts:
        if host.startswith("*."):
            made.hosts.add().suffix.reverse_labels.extend(reversed(host[2:].split(".")))
        else:
            made.hosts.add(exact=host)
    return made


def match(
    *, method: str = "", fields: tuple[str, ...] = (), parameters: tuple[str, ...] = (), **path: str
) -> http_route.HttpRouteMatch:
    """`exact`, `prefix` or `regex`; fields and parameters as NAME=VALUE, or NAME~PATTERN."""
    made = http_route.HttpRouteMatch()
    for kind, text in path.items():
        setattr(made.path, kind, text)
    if method:
        made.method.registered = made.method.Registered.Value(method)
    for one in fields:
        name, sign, value = re.split("([=~])", one, maxsplit=1)
        if sign == "=":
            made.headers.add(name=name, exact=value.encode())
        else:
            made.headers.add(name=name, regex=value)
    for one in parameters:
        name, _, value = one.partition("=")
        made.query_params.add(name=name, exact=value)
    return made


@pytest.mark.parametrize(
    ("lesser", "greater", "asked"),
    [
        (http(match(prefix="/")), http(match(prefix="/a")), Asked("/a/b")),
        (http(match(prefix="/a")), http(match(exact="/a")), Asked("/a")),
        (http(match(prefix="/a", fields=("x=1",))), http(match(exact="/a")), Asked("/a", fields=(("x", "1"),))),
        (http(match(prefix="/a/b")), http(match(regex="/a.*")), Asked("/a/b")),
        (http(match(regex="/a.*")), http(match(exact="/a/b")), Asked("/a/b")),
        (http(match(prefix="/a")), http(match(prefix="/a", method="GET")), Asked("/a")),
        (http(match(fields=("x=1",))), http(match(method="GET")), Asked(fields=(("x", "1"),))),
        (http(match(fields=("x=1",))), http(match(fields=("x=1", "y~2+"))), Asked(fields=(("X", "1"), ("Y", "22")))),
        (http(match(parameters=("a=1",))), http(match(fields=("x=1",))), Asked("/?a=1", fields=(("x", "1"),))),
        (http(match(exact="/a")), http(match(), hosts=("*.shop",)), Asked("/a")),
        (http(match(), hosts=("*.shop",)), http(match(), hosts=("web.shop",)), Asked(host="web.shop:80")),
        (http(match(), hosts=("*.shop",)), http(match(), hosts=("*.a.shop",)), Asked(host="x.a.shop")),
    ],
)  # fmt: skip
def test_what_says_more_goes_before(lesser: Any, greater: Any, asked: Asked) -> None:
    assert route_of([lesser, greater], asked) == 1
    assert route_of([greater, lesser], asked) == 0
    # Both mean it.
    assert route_of([lesser], asked) == route_of([greater], asked) == 0


def test_of_equals_the_first_decides() -> None:
    same = http(match(prefix="/a"))
    assert route_of([same, same], Asked("/a")) == 0


def grpc(service: str = "", method: str = "", *fields: str) -> outbound.GrpcRoute:
    made = outbound.GrpcRoute()
    one = made.rules.add().matches.add()
    one.rpc.CopyFrom(grpc_route.GrpcRpcMatch(service=service, method=method))
    for field in fields:
        name, _, value = field.partition("=")
        one.headers.add(name=name, exact=value.encode())
    return made


CALL = Asked("/shop.Cart/Add", "POST", fields=(("x", "1"),))


@pytest.mark.parametrize(
    ("lesser", "greater"),
    [
        (grpc(), grpc("", "Add")),
        (grpc("", "Add"), grpc("shop.Cart")),
        (grpc("shop.Cart"), grpc("shop.Cart", "Add")),
        (grpc("shop.Cart", "Add"), grpc("shop.Cart", "Add", "x=1")),
        (grpc("", "", "x=1"), grpc("", "Add")),
    ],
)
def test_calls_go_to_what_names_more_of_them(lesser: Any, greater: Any) -> None:
    assert route_of([lesser, greater], CALL) == 1
    assert route_of([greater, lesser], CALL) == 0
    assert route_of([lesser], CALL) == 0


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/shop.Cart/Adds", "POST"),
        ("/shop.Carts/Add", "POST"),
        ("/shop.Cart/Add", "GET"),
        ("/", "POST"),
    ],
)
def test_what_is_another_call_is_not_meant(path: str, method: str) -> None:
    assert route_of([grpc("shop.Cart", "Add")], Asked(path, method)) is None


def test_signs_of_patterns_are_letters_in_names_of_methods() -> None:
    assert route_of([grpc("", "A.d")], Asked("/s/A.d", "POST")) == 0
    assert route_of([grpc("", "A.d")], Asked("/s/Add", "POST")) is None


def test_a_rule_without_conditions_means_everything() -> None:
    assert means_all([])
    assert means_all([match(prefix="/a"), match(prefix="/")])
    assert not means_all([match(prefix="/a"), match(method="GET")])
    assert means_all([grpc_route.GrpcRouteMatch()])
    assert not means_all([grpc_route.GrpcRouteMatch(rpc=grpc_route.GrpcRpcMatch(service="a"))])
    bare = inbound.HttpRoute(rules=[inbound.HttpRoute.Rule()])
    assert [one.match for one in steps_of([bare])] == [EVERYTHING]


def _spoiled(**fields: Any) -> list[Any]:
    return [http(http_route.HttpRouteMatch(**fields))]


@pytest.mark.parametrize(
    "routes",
    [
        _spoiled(path=http_route.PathMatch()),
        _spoiled(headers=[http_route.HeaderMatch(name="a")]),
        _spoiled(headers=[http_route.HeaderMatch(exact=b"a")]),
        _spoiled(query_params=[http_route.QueryParamMatch(name="a")]),
        [inbound.HttpRoute(hosts=[http_route.HostMatch()], rules=[inbound.HttpRoute.Rule()])],
        [http(*[match(exact=f"/{number}") for number in range(RULES_MAX + 1)])],
    ],
)
def test_what_says_nothing_or_too_much_is_wrong(routes: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        steps_of(routes)


# ---- beside a model

PATHS = ("/", "/a", "/a/", "/a/b", "/ab", "/b?x=1", "/a?x=2&y=1")
ONE_PATH = st.one_of(
    st.just({}),
    st.builds(lambda text: {"prefix": text}, st.sampled_from(["/", "/a", "/a/", "/a/b"])),
    st.builds(lambda text: {"exact": text}, st.sampled_from(["/", "/a", "/a/b"])),
)
ONE_MATCH = st.builds(
    lambda path, method, fields, parameters: match(
        method=method, fields=fields, parameters=parameters, **path
    ),
    ONE_PATH,
    st.sampled_from(["", "GET", "PUT"]),
    st.sampled_from([(), ("x=1",), ("x=1", "y=2")]),
    st.sampled_from([(), ("x=1",)]),
)
HOSTS = st.sampled_from([(), ("web.shop",), ("*.shop",), ("*.shop", "api.shop")])
ROUTES = st.lists(
    st.builds(
        lambda found, hosts: http(*found, hosts=hosts), st.lists(ONE_MATCH, max_size=3), HOSTS
    ),
    max_size=5,
)
ASKED = st.builds(
    Asked,
    st.sampled_from(PATHS),
    st.sampled_from(["GET", "PUT"]),
    st.sampled_from(["web.shop", "api.shop:80", "shop", "else"]),
    st.sampled_from([(), (("x", "1"),), (("y", "2"), ("x", "1")), (("x", "2"),)]),
)


def modelled(routes: list[inbound.HttpRoute], asked: Asked) -> int | None:
    """Every condition of every route is held against the request, and the best of those that hold decides."""
    best: tuple[Any, int] | None = None
    for number, route in enumerate(routes):
        for one in route.rules[0].matches or [http_route.HttpRouteMatch()]:
            host, rank = host_rank(route, asked), match_rank(one, asked)
            if host is not None and rank is not None and (best is None or (host, rank) > best[0]):
                best = (host, rank), number
    return None if best is None else best[1]


def host_rank(route: inbound.HttpRoute, asked: Asked) -> tuple[int, int] | None:
    host = asked.host.partition(":")[0]
    found = [] if route.hosts else [(0, 0)]
    for one in route.hosts:
        ending = ".".join(reversed(one.suffix.reverse_labels))
        if one.exact == host:
            found.append((2, len(host)))
        elif ending and host.endswith(f".{ending}"):
            found.append((1, len(ending)))
    return max(found, default=None)


def match_rank(one: http_route.HttpRouteMatch, asked: Asked) -> tuple[int, ...] | None:
    path, _, query = asked.path.partition("?")
    prefix = one.path.prefix.rstrip("/")
    parameters = set(query.split("&"))
    fields = {(name, value.encode()) for name, value in asked.fields}
    method = one.method.Registered.Name(one.method.registered) if one.HasField("method") else ""
    if one.path.exact not in ("", path):
        return None
    if not (path + "/").startswith(prefix + "/") or method not in ("", asked.method):
        return None
    if not fields.issuperset((field.name, field.exact) for field in one.headers):
        return None
    if not parameters.issuperset(f"{each.name}={each.exact}" for each in one.query_params):
        return None
    whole = bool(one.path.exact)
    length = len(one.path.exact or prefix)
    return whole, length, bool(method), len(one.headers), len(one.query_params)


@given(ROUTES, ASKED)
def test_the_engine_finds_what_the_model_finds(routes: list[Any], asked: Asked) -> None:
    assert route_of(routes, asked) == modelled(routes, asked)
