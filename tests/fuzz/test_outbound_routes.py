"""Outbound routes: which rule the engine lets a request follow, beside a model that compares all rules as the
Gateway API says: the most specific host, then path, a method, the most fields and parameters, then the first.
"""

import asyncio
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.policy.testing import plan_for
from linkerd2_py.proto.gen import grpc_route_pb2 as grpc_route
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.discovery.client_policy import client_policy
from linkerd2_py.proxy.discovery.outbound_routes import Routes, Rule
from linkerd2_py.proxy.discovery.outbound_tables import compile_table
from linkerd2_py.proxy.discovery.ways import Balanced
from tests.support import policy_stub as stub

PATHS = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/ab",
    "/a/b/c",
    "/b",
    "//",
    "/a//b",
    "*",
    "/a.S/M",
    "/S/M/x",
    "/S/",
    "/S",
]
PREFIXES = ["/", "/a", "/a/", "/a//", "/a/b", "/ab", "", "//", "/S"]
REGEXES = ["/a.*", "/.*", "/a/b", "/[ab]+", ".*", "/(a|ab)/b"]
HOSTS = ["web.test", "a.web.test", "b.a.web.test", "test", "other.test"]
SUFFIXES = [["test"], ["test", "web"], ["test", "web", "a"]]
NAMES, VALUES = ["x", "Y"], ["1", "2", "12"]
METHODS = ["GET", "POST", "BREW"]


class Request(NamedTuple):
    path: str
    query: tuple[tuple[str, str], ...]
    method: str
    fields: tuple[tuple[str, str], ...]
    host: str


# ---- the model, over messages


def model(routes: Iterable[Any], request: Request) -> tuple[int, int] | None:
    """The indexes of the route and of the rule that the request follows."""
    best: tuple[Any, tuple[int, int]] | None = None
    for number, route in enumerate(routes):
        hosts = [host_rank(one, request.host) for one in route.hosts]
        host = max((one for one in hosts if one is not None), default=None) if hosts else (0, 0)
        if host is None:
            continue
        for at, rule in enumerate(route.rules):
            of = grpc_rank if isinstance(route, outbound.GrpcRoute) else http_rank
            ranks = [of(one, request) for one in rule.matches]
            default = (0, 0, 0) if isinstance(route, outbound.GrpcRoute) else ((0, 0), False, 0, 0)
            found = max((one for one in ranks if one is not None), default=None)
            rank = found if ranks else default
            if rank is not None and (best is None or (host, rank) > best[0]):
                best = ((host, rank), (number, at))
    return None if best is None else best[1]


def host_rank(message: http_route.HostMatch, host: str) -> tuple[int, int] | None:
    if message.WhichOneof("match") == "exact":
        same = host.removesuffix(".").lower() == message.exact.lower()
        return (2, len(message.exact)) if same else None
    ending = "".join(f".{one}" for one in reversed(message.suffix.reverse_labels))
    return (1, len(ending)) if host.removesuffix(".").lower().endswith(ending) else None


def http_rank(message: http_route.HttpRouteMatch, request: Request) -> tuple[Any, ...] | None:
    path: tuple[int, int] | None = (0, 0)
    if message.HasField("path"):
        path = path_rank(message.path, request.path)
    if path is None or not all(has(one, request.fields) for one in message.headers):
        return None
    if not all(has(one, request.query, exact_name=True) for one in message.query_params):
        return None
    named = message.HasField("method")
    if named and method_name(message.method) != request.method:
        return None
    return path, named, len(message.headers), len(message.query_params)


def path_rank(message: http_route.PathMatch, path: str) -> tuple[int, int] | None:
    """A whole path, a pattern, a beginning."""
    kind = message.WhichOneof("kind")
    if kind == "exact":
        return (2, len(path)) if message.exact == path else None
    if kind == "regex":
        return (1, 0) if re.fullmatch(message.regex, path) else None
    prefix = message.prefix.rstrip("/")
    return (0, len(prefix)) if not prefix or f"{path}/".startswith(f"{prefix}/") else None


def has(message: Any, values: Iterable[tuple[str, str]], *, exact_name: bool = False) -> bool:
    for name, value in values:
        same = name == message.name if exact_name else name.lower() == message.name.lower()
        if same and message.WhichOneof("value") == "regex":
            if re.fullmatch(message.regex, value):
                return True
        elif same and value.encode() == as_bytes(message.exact):
            return True
    return False


def as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def method_name(message: Any) -> str:
    if message.WhichOneof("type") == "unregistered":
        return str(message.unregistered)
    return str(message.Registered.Name(message.registered))


def grpc_rank(message: grpc_route.GrpcRouteMatch, request: Request) -> tuple[int, int, int] | None:
    rpc = message.rpc
    if not (rpc.service or rpc.method or message.headers):
        return 0, 0, 0
    begins = f"{request.path}/".startswith(f"/{rpc.service}/") and not rpc.method
    _, service, method, *more = [*request.path.split("/"), "", ""]
    is_call = request.path.count("/") == 2 and service and method and not any(more)
    named = rpc.service in ("", service) and rpc.method in ("", method)
    if request.method != "POST" or not (
        begins if rpc.service and not rpc.method else is_call and named
    ):
        return None
    if not all(has(one, request.fields) for one in message.headers):
        return None
    return len(rpc.service), len(rpc.method), len(message.headers)


# ---- messages


@st.composite
def header_matches(draw: st.DrawFn) -> http_route.HeaderMatch:
    made = http_route.HeaderMatch(name=draw(st.sampled_from(NAMES)))
    if draw(st.booleans()):
        made.exact = draw(st.sampled_from(VALUES)).encode()
    else:
        made.regex = draw(st.sampled_from(["1.*", "[12]+"]))
    return made


@st.composite
def http_matches(draw: st.DrawFn) -> http_route.HttpRouteMatch:
    made = http_route.HttpRouteMatch(headers=draw(st.lists(header_matches(), max_size=2)))
    kind = draw(st.sampled_from(["", "exact", "prefix", "prefix", "regex"]))
    if kind:
        choice = {"exact": PATHS, "prefix": PREFIXES, "regex": REGEXES}[kind]
        setattr(made.path, kind, draw(st.sampled_from(choice)))
    for _ in range(draw(st.integers(0, 1))):
        made.query_params.add(
            name=draw(st.sampled_from(NAMES)), exact=draw(st.sampled_from(VALUES))
        )
    method = draw(st.sampled_from(["", *METHODS]))
    if method == "BREW":
        made.method.unregistered = method
    elif method:
        made.method.registered = made.method.Registered.Value(method)  # type: ignore[assignment]
    return made


@st.composite
def grpc_matches(draw: st.DrawFn) -> grpc_route.GrpcRouteMatch:
    made = grpc_route.GrpcRouteMatch(headers=draw(st.lists(header_matches(), max_size=2)))
    made.rpc.service = draw(st.sampled_from(["", "S", "a.S", "a"]))
    made.rpc.method = draw(st.sampled_from(["", "M", "b"]))
    return made


@st.composite
def host_matches(draw: st.DrawFn) -> http_route.HostMatch:
    if draw(st.booleans()):
        return http_route.HostMatch(exact=draw(st.sampled_from(HOSTS)))
    labels = draw(st.sampled_from(SUFFIXES))
    return http_route.HostMatch(suffix=http_route.HostMatch.Suffix(reverse_labels=labels))


requests = st.builds(
    Request,
    path=st.sampled_from(PATHS),
    query=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=2).map(
        tuple
    ),
    method=st.sampled_from(METHODS),
    fields=st.lists(
        st.tuples(st.sampled_from(["x", "X", "y", "z"]), st.sampled_from(VALUES)), max_size=3
    ).map(tuple),
    host=st.sampled_from([*HOSTS, "WEB.test", "web.test.", "c.b.a.web.test"]),
)


def policy(routes: list[list[list[Any]]], hosts: list[list[Any]], *, grpc: bool) -> Any:
    """Each rule of each route leads to a service of its own name."""
    made = outbound.OutboundPolicy(metadata=stub.service_of("web.shop.svc.cluster.local:80"))
    protocol: Any = made.protocol.grpc if grpc else made.protocol.http1
    for number, (rules, meant) in enumerate(zip(routes, hosts, strict=False)):
        route = protocol.routes.add(hosts=meant)
        route.metadata.default = str(number)
        for at, matches in enumerate(rules):
            rule = route.rules.add(matches=matches)
            backend = stub.backend(f"s{number}-{at}.shop.svc.cluster.local:80")
            rule.backends.first_available.backends.add().backend.CopyFrom(backend)
    return made


def followed(made: outbound.OutboundPolicy, request: Request) -> tuple[int, int] | None:
    """By the engine's table."""
    found = client_policy(made).routes
    assert found is not None
    plans: list[tuple[Plan, Rule]] = []

    def plan_of(rule: Rule, _routes: Routes) -> Plan:
        plans.append((Plan(), rule))
        return plans[-1][0]

    table = asyncio.run(compile_table(found, plan_of=plan_of))
    query = "&".join(f"{name}={value}" for name, value in request.query)
    target = request.path + (f"?{query}" if query else "")
    plan = plan_for(
        table,
        target.encode(),
        request.method.encode(),
        [(name.encode(), value.encode()) for name, value in request.fields],
        request.host.encode(),
    )
    for one, rule in plans:
        if one is plan:
            service = rule.destinations[0].way
            assert isinstance(service, Balanced)
            at_route, _, at_rule = service.name.host.split(".")[0].removeprefix("s").partition("-")
            return int(at_route), int(at_rule)
    assert plan is table.otherwise
    return None


def rules_of(matches: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(
        st.lists(st.lists(matches, max_size=3), min_size=1, max_size=3), min_size=1, max_size=4
    )


some_hosts = st.lists(st.lists(host_matches(), max_size=2), min_size=4, max_size=4)


@given(rules_of(http_matches()), some_hosts, st.lists(requests, min_size=1, max_size=6))
def test_routes_of_http(routes: Any, hosts: Any, asked: list[Request]) -> None:
    made = policy(routes, hosts, grpc=False)
    for request in asked:
        assert followed(made, request) == model(made.protocol.http1.routes, request), request


@given(rules_of(grpc_matches()), some_hosts, st.lists(requests, min_size=1, max_size=6))
def test_routes_of_grpc(routes: Any, hosts: Any, asked: list[Request]) -> None:
    made = policy(routes, hosts, grpc=True)
    for request in asked:
        assert followed(made, request) == model(made.protocol.grpc.routes, request), request


def test_the_model_follows_what_gateway_api_says() -> None:
    """By hand: a longer prefix before a shorter, a whole path before a prefix, one condition more before
    none.
    """
    made = outbound.OutboundPolicy()
    for kind, path, fields in (
        ("prefix", "/", 0),
        ("prefix", "/a", 0),
        ("prefix", "/a", 1),
        ("exact", "/a/b", 0),
    ):
        match = made.protocol.http1.routes.add().rules.add().matches.add()
        setattr(match.path, kind, path)
        for _ in range(fields):
            match.headers.add(name="x", exact=b"1")
    routes = made.protocol.http1.routes
    plain = Request("/a/b", (), "GET", (("x", "1"),), "web.test")
    assert model(routes, plain) == (3, 0)
    assert model(routes, plain._replace(path="/a/c")) == (2, 0)
    assert model(routes, plain._replace(path="/a/c", fields=())) == (1, 0)
    assert model(routes, plain._replace(path="/c")) == (0, 0)
