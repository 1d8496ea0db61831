"""Policies of services: protocol, routes, backends, and what annotations make of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linkerd2_py.controlplane.mesh.objects import Service
from linkerd2_py.controlplane.mesh.routes import (
    GRPCMatch,
    GRPCRule,
    HeaderModifier,
    HTTPMatch,
    HTTPRule,
    PathMatch,
    Redirect,
    Rewrite,
    Rule,
    TCPRoute,
    TLSRoute,
    UnsupportedFilter,
    ValueMatch,
)
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from tests.support.outbound_shop import (
    EVERYTHING,
    WEB,
    at,
    backend,
    grpc_route,
    http_route,
    http_routes,
    named,
    policy,
    service,
)


def shop(*objects: object, web: Service | None = None) -> MeshStore:
    store = MeshStore()
    store.put(web or service(), service("v2", ips=("10.96.0.11",)), *objects)  # type: ignore[arg-type]
    return store


def names(found: outbound.OutboundPolicy) -> list[str]:
    return [route.metadata.resource.name for route in http_routes(found)]


def test_without_routes_all_goes_to_the_service() -> None:
    (route,) = http_routes(policy(shop()))
    assert route.metadata.default == "http"
    ((first,),) = (rule.backends.first_available.backends for rule in route.rules)
    assert first.backend.balancer.discovery.dst.path == "web.shop.svc.cluster.local:80"


@pytest.mark.parametrize(
    ("app_protocol", "kind"),
    [
        ("", "detect"),
        ("HTTP", "http1"),
        ("kubernetes.io/h2c", "http2"),
        ("linkerd.io/tcp", "opaque"),
        ("linkerd.io/opaque", "opaque"),
        ("https", "opaque"),
    ],
)
def test_the_protocol_is_the_one_that_the_port_declares(app_protocol: str, kind: str) -> None:
    found = policy(shop(web=service(app_protocol=app_protocol)))
    assert found.protocol.WhichOneof("kind") == kind


def test_an_opaque_port_is_opaque_unless_it_declares_a_protocol() -> None:
    assert policy(shop(web=service(opaque=True))).protocol.WhichOneof("kind") == "opaque"
    both = service(opaque=True, app_protocol="http")
    assert policy(shop(web=both)).protocol.WhichOneof("kind") == "http1"


def test_a_port_that_the_service_does_not_have_is_forbidden_by_address_only() -> None:
    found = policy(shop(), at(port=81))
    (route,) = found.protocol.opaque.routes
    assert route.metadata.default == "undefined-port"
    (rule,) = route.rules
    assert rule.filters[0].WhichOneof("kind") == "forbidden"
    assert rule.backends.WhichOneof("kind") == "empty"
    assert policy(shop(), named("web", port=81)).protocol.WhichOneof("kind") == "detect"


def test_a_name_is_answered_before_its_service_is_known() -> None:
    assert policy(MeshStore(), named("later")).metadata.resource.name == "later"


def test_clients_see_routes_of_the_service_and_of_their_own_namespace_first() -> None:
    store = shop(
        http_route("old", created=1),
        http_route("young", created=2),
        http_route("also-young", created=2),
        http_route("own", namespace="client", created=3),
        http_route("others", namespace="elsewhere"),
    )
    assert names(policy(store)) == ["own", "old", "also-young", "young"]
    assert names(policy(store, at(of="shop"))) == ["old", "also-young", "young"]


def test_a_parent_that_does_not_take_a_route_has_the_default() -> None:
    store = shop(http_route(), web=replace(service(ips=()), headless=True))
    (route,) = http_routes(policy(store, named("web")))
    assert route.metadata.default == "http"


def test_grpc_routes_go_before_http_routes() -> None:
    found = policy(shop(grpc_route(), http_route()))
    (route,) = found.protocol.grpc.routes
    assert route.metadata.resource.kind == "GRPCRoute"
    declared = policy(shop(grpc_route(), web=service(app_protocol="kubernetes.io/h2c")))
    assert declared.protocol.WhichOneof("kind") == "grpc"


def test_tls_routes_go_before_tcp_routes() -> None:
    to_v2 = (Rule((backend("v2"),)),)
    tls = TLSRoute(
        namespace="shop",
        name="tls",
        parents=(WEB,),
        rules=to_v2,
        hostnames=("a.example.com", "*.example.com"),
    )
    tcp = TCPRoute(namespace="shop", name="tcp", parents=(WEB,), rules=to_v2)
    (route,) = policy(shop(tls, tcp)).protocol.tls.routes
    assert route.snis[0].exact == "a.example.com"
    assert list(route.snis[1].suffix.reverse_labels) == ["com", "example"]
    (only,) = policy(shop(tcp, replace(tcp, name="tcp2"))).protocol.opaque.routes
    assert only.metadata.resource.name == "tcp"


def test_backends_by_weight_and_what_is_wrong_with_them() -> None:
    to = (
        backend("v2", weight=9),
        backend("missing"),
        backend("v2", port=0),
        backend("v2", group="example.com", kind="Bucket"),
        backend("out", group="policy.linkerd.io", kind="EgressNetwork"),
    )
    store = shop(replace(http_route(), rules=(HTTPRule(to, matches=EVERYTHING),)))
    (rule,) = http_routes(policy(store))[0].rules
    found = rule.backends.random_available.backends
    assert [one.weight for one in found] == [9, 1, 1, 1, 1]
    assert found[0].backend.backend.HasField("balancer")
    injected = [one.backend.filters[0].failure_injector for one in found[1:]]
    assert [one.message for one in injected] == [
        "Service not found missing",
        "missing port for backend Service v2",
        "unsupported backend type example.com Bucket",
        "EgressNetwork not found out",
    ]
    assert {one.status for one in injected} == {500}
    assert not any(one.backend.backend.WhichOneof("kind") for one in found[1:])


def test_a_backend_of_no_route_kind_is_said_in_each_kinds_own_way() -> None:
    gone = (backend("missing"),)
    tls = TLSRoute(namespace="shop", name="r", parents=(WEB,), rules=(Rule(gone),))
    (of_tls,) = policy(shop(tls)).protocol.tls.routes[0].rules
    (found,) = of_tls.backends.random_available.backends
    assert found.backend.filters[0].invalid.message == "Service not found missing"
    tcp = TCPRoute(namespace="shop", name="r", parents=(WEB,), rules=(Rule(gone),))
    (of_tcp,) = policy(shop(tcp)).protocol.opaque.routes[0].rules
    (other,) = of_tcp.backends.random_available.backends
    assert other.backend.filters[0].invalid.message == "Service not found missing"
    grpc = replace(grpc_route(), rules=(GRPCRule(gone),))
    (of_grpc,) = policy(shop(grpc)).protocol.grpc.routes[0].rules
    (last,) = of_grpc.backends.random_available.backends
    assert last.backend.filters[0].failure_injector.message == "Service not found missing"


def test_what_http_matches() -> None:
    match = HTTPMatch(
        PathMatch("RegularExpression", "/a.*"),
        headers=(ValueMatch("X-One", "1"), ValueMatch("x", "^1", regex=True)),
        query=(ValueMatch("q", "1"), ValueMatch("r", ".", regex=True)),
        method="PURGE",
    )
    also = HTTPMatch(PathMatch("Exact", "/b"), method="GET")
    route = replace(
        http_route(),
        hostnames=("web.example.com", "*.example.com"),
        rules=(HTTPRule(matches=(match, also)),),
    )
    (found,) = http_routes(policy(shop(route)))
    assert found.hosts[0].exact == "web.example.com"
    assert list(found.hosts[1].suffix.reverse_labels) == ["com", "example"]
    first, second = found.rules[0].matches
    assert first.path.regex == "/a.*"
    assert (first.headers[0].name, first.headers[0].exact) == ("x-one", b"1")
    assert first.headers[1].regex == "^1"
    assert (first.query_params[0].exact, first.query_params[1].regex) == ("1", ".")
    assert first.method.unregistered == "PURGE"
    assert second.path.exact == "/b"
    assert second.method.registered == http_types.HttpMethod.GET
    # A rule that leads nowhere leads to the service.
    assert found.rules[0].backends.first_available.backends


def test_what_grpc_matches() -> None:
    matches = (
        GRPCMatch(has_method=True, service="a.B", method="C"),
        GRPCMatch(headers=(ValueMatch("x", "1"),)),
    )
    route = replace(grpc_route(), rules=(GRPCRule(matches=matches),))
    first, second = policy(shop(route)).protocol.grpc.routes[0].rules[0].matches
    assert (first.rpc.service, first.rpc.method) == ("a.B", "C")
    assert not second.HasField("rpc")
    assert second.headers[0].exact == b"1"


def test_filters_of_rules_and_of_backends() -> None:
    filters = (
        HeaderModifier("request", adds=(("A", "1"),), sets=(("b", "2"),), removes=("C",)),
        HeaderModifier("response", sets=(("d", "3"),)),
        Redirect("https", "example.com", "ReplacePrefixMatch", "/new", 8443, 307),
        Redirect(path_kind="ReplaceFullPath", path="/other"),
    )
    to = replace(backend("v2"), filters=filters[:1])
    route = replace(http_route(), rules=(HTTPRule((to,), EVERYTHING, filters),))
    (rule,) = http_routes(policy(shop(route)))[0].rules
    request, response, redirect, other = rule.filters
    modifier = request.request_header_modifier
    assert [(one.name, one.value) for one in modifier.add.headers] == [("a", b"1")]
    assert [(one.name, one.value) for one in modifier.set.headers] == [("b", b"2")]
    assert list(modifier.remove) == ["c"]
    assert response.response_header_modifier.set.headers[0].name == "d"
    assert redirect.redirect.scheme.registered == http_types.Scheme.HTTPS
    assert (redirect.redirect.host, redirect.redirect.port) == ("example.com", 8443)
    assert (redirect.redirect.path.prefix, redirect.redirect.status) == ("/new", 307)
    assert (other.redirect.path.full, other.redirect.status) == ("/other", 302)
    (weighted,) = rule.backends.random_available.backends
    assert weighted.backend.filters[0] == request


@pytest.mark.parametrize(
    "rule",
    [
        HTTPRule(matches=EVERYTHING, filters=(UnsupportedFilter("RequestMirror"),)),
        HTTPRule(matches=EVERYTHING, filters=(Redirect(path_kind="ReplaceFullPath", path="x"),)),
        HTTPRule(matches=EVERYTHING, filters=(Redirect(path_kind="ReplaceFullPath", path=""),)),
        HTTPRule(matches=EVERYTHING, filters=(Redirect(hostname="a", status=200),)),
        HTTPRule(matches=(HTTPMatch(PathMatch("Exact", "x")),)),
        HTTPRule(matches=(HTTPMatch(PathMatch("Glob", "/x")),)),
    ],
)
def test_a_route_that_no_proxy_can_follow_is_left_out(rule: HTTPRule) -> None:
    broken = replace(http_route("broken"), rules=(rule,))
    assert names(policy(shop(broken, http_route("sound")))) == ["sound"]
    (route,) = http_routes(policy(shop(broken)))
    assert route.metadata.default == "http"


def test_only_who_rewrites_is_told_of_rewrites() -> None:
    """Past any other proxy requests would go unchanged: it is as if the route were not there, as with
    Linkerd's controller.
    """
    filters = (Rewrite("example.org", "ReplacePrefixMatch", "/new"), Rewrite(path="x"))
    route = replace(http_route("new"), rules=(HTTPRule((backend("v2"),), EVERYTHING, filters),))
    store = shop(route, http_route("rest", created=1))
    assert names(policy(store)) == ["rest"]
    found = policy(store, replace(at(), rewrites=True))
    assert names(found) == ["new", "rest"]
    both = [one.url_rewrite for one in http_routes(found)[0].rules[0].filters]
    assert (both[0].host, both[0].path.prefix) == ("example.org", "/new")
    assert (both[1].host, both[1].HasField("path")) == ("", False)


@pytest.mark.parametrize(
    "rewrite", [Rewrite(path_kind="ReplaceFullPath"), Rewrite("", "ReplacePrefixMatch", "x")]
)
def test_a_rewrite_to_what_is_no_path_is_left_out(rewrite: Rewrite) -> None:
    broken = replace(http_route(), rules=(HTTPRule(matches=EVERYTHING, filters=(rewrite,)),))
    assert names(policy(shop(broken), replace(at(), rewrites=True))) == [""]


def test_no_backend_rewrites() -> None:
    """What one way has changed of a request, another could not take back."""
    to = replace(backend("v2"), filters=(Rewrite("example.org"),))
    broken = replace(http_route(), rules=(HTTPRule((to,), EVERYTHING),))
    assert names(policy(shop(broken), replace(at(), rewrites=True))) == [""]


def test_nothing_in_the_place_of_a_prefix_is_a_slash() -> None:
    """A wire without a path would say that it stays."""
    filters = (Redirect(path_kind="ReplacePrefixMatch"),)
    route = replace(http_route(), rules=(HTTPRule(matches=EVERYTHING, filters=filters),))
    (rule,) = http_routes(policy(shop(route)))[0].rules
    assert rule.filters[0].redirect.path.prefix == "/"


def test_further_routes_that_no_proxy_can_follow() -> None:
    by_regex = GRPCRule(matches=(GRPCMatch(has_method=True, service=".*", regex=True),))
    of_response = GRPCRule(filters=(HeaderModifier("response"),))
    for rule in (by_regex, of_response):
        found = policy(shop(replace(grpc_route(), rules=(rule,))))
        assert found.protocol.WhichOneof("kind") == "detect"
    two_rules = TCPRoute(namespace="shop", name="r", parents=(WEB,), rules=(Rule(), Rule()))
    assert policy(shop(two_rules)).protocol.WhichOneof("kind") == "detect"
    said = {"retry.linkerd.io/http": "teapot"}
    assert names(policy(shop(replace(http_route(), annotations=said)))) == [""]


TIMEOUT = "timeout.linkerd.io/request"


def test_timeouts_of_the_route_go_before_those_of_its_rule_and_of_the_service() -> None:
    web = service(annotations={TIMEOUT: "9s", "timeout.linkerd.io/idle": "9s"})

    def limits(route: object) -> tuple[int, int, int]:
        (rule,) = http_routes(policy(shop(route, web=web)))[0].rules
        found = rule.timeouts
        return rule.requestTimeout.seconds, found.request.seconds, found.idle.seconds

    plain = http_route()
    by_rule = replace(plain, rules=(replace(plain.rules[0], timeout_ms=2000),))
    assert limits(plain) == (9, 9, 9)
    assert limits(by_rule) == (2, 2, 0)
    assert limits(replace(by_rule, annotations={TIMEOUT: "1s"})) == (1, 1, 0)
    grpc = policy(shop(grpc_route(), web=web)).protocol.grpc.routes[0].rules[0]
    assert (grpc.requestTimeout.seconds, grpc.timeouts.idle.seconds) == (9, 9)


def test_retries_of_the_route_go_before_those_of_the_service() -> None:
    web = service(annotations={"retry.linkerd.io/http": "5xx", "retry.linkerd.io/grpc": "internal"})

    def limit(annotations: dict[str, str]) -> outbound.HttpRoute.Retry:
        route = replace(http_route(), annotations=annotations)
        return http_routes(policy(shop(route, web=web)))[0].rules[0].retry

    assert limit({}).conditions.status_ranges[0].end == 599
    assert limit({"retry.linkerd.io/limit": "4"}).max_retries == 4
    assert not limit({"retry.linkerd.io/limit": "4"}).conditions.status_ranges
    grpc = policy(shop(grpc_route(), web=web)).protocol.grpc.routes[0].rules[0].retry
    assert grpc.conditions.internal
    assert not grpc.conditions.unavailable


def test_breakers_and_penalties() -> None:
    said = {
        "balancer.linkerd.io/failure-accrual": "unified",
        "balancer.alpha.linkerd.io/failure-accrual-honor-retry-after": "true",
        "balancer.alpha.linkerd.io/penalize-failures": "true",
    }
    http1 = policy(shop(web=service(annotations=said))).protocol.detect.http1
    unified = http1.failure_accrual.unified
    assert (unified.success_rate_threshold, unified.max_consecutive_failures) == (0.8, 7)
    assert unified.backoff.respect_retry_after_hint
    (first,) = http1.routes[0].rules[0].backends.first_available.backends
    assert first.backend.balancer.penalty_peak_ewma.penalty.seconds == 5
    opaque = service(annotations=said, opaque=True)
    (route,) = policy(shop(web=opaque)).protocol.opaque.routes
    (last,) = route.rules[0].backends.first_available.backends
    assert last.backend.balancer.HasField("peak_ewma")


def test_annotations_that_nobody_understands_count_as_none() -> None:
    said = {"balancer.linkerd.io/failure-accrual": "sometimes", TIMEOUT: "1s"}
    http1 = policy(shop(web=service(annotations=said))).protocol.detect.http1
    assert not http1.HasField("failure_accrual")
    assert http1.routes[0].rules[0].timeouts.request.seconds == 1


def test_requests_say_how_they_are_retried_where_that_is_allowed() -> None:
    for allowed in (True, False):
        cluster = Cluster(allow_l5d_request_headers=allowed)
        (rule,) = http_routes(policy(shop(http_route()), cluster=cluster))[0].rules
        assert rule.allow_l5d_request_headers == allowed
