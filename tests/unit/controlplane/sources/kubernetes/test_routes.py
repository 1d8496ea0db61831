"""Routes and egress networks as they come from the API."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.routes import (
    GRPCMatch,
    HeaderModifier,
    HTTPMatch,
    PathMatch,
    Redirect,
    Rewrite,
    RouteKey,
    UnsupportedFilter,
    ValueMatch,
)
from linkerd2_py.controlplane.mesh.status import CONTROLLER, Condition, Parent, ParentStatus
from linkerd2_py.controlplane.sources.kubernetes.routes import (
    read_egress_network,
    read_gateway_http_route,
    read_grpc_route,
    read_linkerd_http_route,
    read_tcp_route,
    read_tls_route,
)

METADATA = {
    "namespace": "shop",
    "name": "web",
    "creationTimestamp": "2026-11-29T18:00:00Z",
    "annotations": {"retry.linkerd.io/http": "5xx", "example.com/team": "a"},
}
WEB = {"group": "", "kind": "Service", "name": "web", "port": 80}


def http(rule: Json, **spec: object) -> Json:
    return {"metadata": METADATA, "spec": {"parentRefs": [WEB], "rules": [rule], **spec}}


def test_a_route_says_what_it_is_attached_to_and_where_it_leads() -> None:
    found = read_gateway_http_route(
        http(
            {
                "backendRefs": [
                    {"name": "v2", "port": 80, "weight": 0},
                    {"group": "policy.linkerd.io", "kind": "EgressNetwork", "name": "out"},
                ]
            },
            hostnames=["*.example.com"],
        )
    )
    assert found.key == RouteKey("gateway.networking.k8s.io", "HTTPRoute", "shop", "web")
    assert found.parents == (Parent("core", "Service", "shop", "web", 80),)
    assert found.hostnames == ("*.example.com",)
    assert found.created == 1795975200.0
    assert dict(found.annotations) == {"retry.linkerd.io/http": "5xx"}
    assert [(one.object, one.weight) for one in found.backends] == [
        (("Service", "shop", "v2"), 0),
        (("EgressNetwork", "shop", "out"), 1),
    ]


def test_parents_are_spelled_alike_however_they_were_written() -> None:
    spec = {
        "parentRefs": [
            {"group": "core", "kind": "service", "namespace": "other", "name": "web"},
            {"group": "policy.linkerd.io", "kind": "Server", "name": "web", "port": 80},
            {"name": "gate"},
        ]
    }
    assert read_linkerd_http_route({"metadata": METADATA, "spec": spec}).parents == (
        Parent("core", "Service", "other", "web"),
        Parent("policy.linkerd.io", "Server", "shop", "web"),
        Parent("policy.linkerd.io", "Gateway", "shop", "gate"),
    )
    (gate,) = read_tcp_route(
        {"metadata": METADATA, "spec": {"parentRefs": [{"name": "gate"}]}}
    ).parents
    assert gate == Parent("gateway.networking.k8s.io", "Gateway", "shop", "gate")


def test_what_an_http_rule_matches() -> None:
    matches = [
        {
            "method": "GET",
            "path": {"type": "Exact", "value": "/a"},
            "headers": [{"name": "x", "value": "1"}],
            "queryParams": [{"name": "q", "type": "RegularExpression", "value": ".*"}],
        },
        {"headers": [{"name": "x", "type": "RegularExpression", "value": "^1"}]},
    ]
    (rule,) = read_gateway_http_route(http({"matches": matches})).rules
    root = PathMatch("PathPrefix", "/")
    assert rule.matches == (
        HTTPMatch(
            PathMatch("Exact", "/a"),
            headers=(ValueMatch("x", "1"),),
            query=(ValueMatch("q", ".*", regex=True),),
            method="GET",
        ),
        HTTPMatch(root, headers=(ValueMatch("x", "^1", regex=True),)),
    )


def test_what_an_http_route_does_not_say_is_everything_and_an_empty_list_is_nothing() -> None:
    everything = (HTTPMatch(PathMatch("PathPrefix", "/")),)
    (rule,) = read_gateway_http_route(http({})).rules
    assert rule.matches == everything
    (empty,) = read_gateway_http_route(http({"matches": []})).rules
    assert empty.matches == ()
    (missing,) = read_gateway_http_route({"metadata": METADATA, "spec": {}}).rules
    assert missing.matches == everything
    assert read_gateway_http_route({"metadata": METADATA, "spec": {"rules": []}}).rules == ()


def test_what_an_http_rule_does() -> None:
    filters = [
        {
            "type": "ResponseHeaderModifier",
            "responseHeaderModifier": {
                "add": [{"name": "a", "value": "1"}],
                "set": [{"name": "b", "value": "2"}],
                "remove": ["c"],
            },
        },
        {
            "type": "RequestRedirect",
            "requestRedirect": {
                "scheme": "https",
                "hostname": "example.com",
                "path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"},
                "port": 8443,
                "statusCode": 301,
            },
        },
        {
            "type": "URLRewrite",
            "urlRewrite": {
                "hostname": "example.org",
                "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"},
            },
        },
        {"type": "URLRewrite", "urlRewrite": {}},
        {"type": "ExtensionRef", "extensionRef": {}},
    ]
    rule = {"filters": filters, "timeouts": {"request": "1m2s500ms"}}
    (found,) = read_gateway_http_route(http(rule)).rules
    assert found.filters == (
        HeaderModifier("response", adds=(("a", "1"),), sets=(("b", "2"),), removes=("c",)),
        Redirect("https", "example.com", "ReplaceFullPath", "/new", 8443, 301),
        Rewrite("example.org", "ReplacePrefixMatch", "/new"),
        Rewrite(),
        UnsupportedFilter("ExtensionRef"),
    )
    assert found.timeout_ms == 62_500


def test_a_timeout_that_is_none_is_no_timeout() -> None:
    for written in ("", "soon", "5", "1s tomorrow"):
        (found,) = read_gateway_http_route(http({"timeouts": {"request": written}})).rules
        assert found.timeout_ms == 0


def test_what_a_grpc_rule_matches() -> None:
    matches = [
        {"method": {"service": "a.B", "method": "C"}},
        {"method": {"type": "RegularExpression", "service": ".*"}},
        {"headers": [{"name": "x", "value": "1"}]},
    ]
    (rule,) = read_grpc_route(http({"matches": matches})).rules
    assert rule.matches == (
        GRPCMatch(has_method=True, service="a.B", method="C"),
        GRPCMatch(has_method=True, service=".*", regex=True),
        GRPCMatch(headers=(ValueMatch("x", "1"),)),
    )


def test_routes_of_connections() -> None:
    rule = {"backendRefs": [{"name": "v2", "namespace": "other", "port": 80}]}
    tls = read_tls_route(http(rule, hostnames=["a.example.com"]))
    tcp = read_tcp_route(http(rule))
    assert (tls.key.kind, tcp.key.kind) == ("TLSRoute", "TCPRoute")
    assert tls.hostnames == ("a.example.com",)
    assert tls.leads_to == tcp.leads_to == {("Service", "other", "v2")}


def test_of_a_status_what_we_said_is_kept() -> None:
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted"}
    said = {"parentRef": WEB, "controllerName": CONTROLLER, "conditions": [condition]}
    status = {"parents": [{**said, "controllerName": "another"}, said]}
    found = read_tcp_route({**http({}), "status": status})
    accepted = Condition("Accepted", holds=True, reason="Accepted")
    assert found.statuses == (
        ParentStatus(Parent("core", "Service", "shop", "web", 80), (accepted,)),
    )


def test_an_egress_network_says_which_addresses_are_meant_and_what_is_allowed() -> None:
    spec = {
        "trafficPolicy": "Allow",
        "networks": [{"cidr": "8.0.0.0/8", "except": ["8.8.0.0/16", "8.9.9.9"]}, {"cidr": "none"}],
    }
    found = read_egress_network({"metadata": METADATA, "spec": spec})
    (network,) = found.networks or ()
    assert found.allows
    assert network.excluded == (ip_network("8.8.0.0/16"), ip_network("8.9.9.9/32"))
    assert ip_address("8.1.1.1") in network
    assert ip_address("8.8.1.1") not in network
    assert ip_address("8.9.9.9") not in network
    assert 3306 in found.opaque_ports
    said = {**METADATA, "annotations": {"config.linkerd.io/opaque-ports": "443"}}
    named = {"metadata": said, "spec": spec}
    assert read_egress_network(named).opaque_ports == {443}
    by_default = frozenset({25})
    unsaid = read_egress_network({"metadata": METADATA}, default_opaque_ports=by_default)
    assert unsaid.opaque_ports == by_default
    everything = read_egress_network({"metadata": METADATA, "spec": {"trafficPolicy": "Deny"}})
    assert everything.networks is None
    assert not everything.allows


def test_networks_overlap_unless_all_of_the_other_is_excluded() -> None:
    everything = Network(ip_network("0.0.0.0/0"), excluded=(ip_network("10.0.0.0/8"),))
    assert not everything.overlaps(ip_network("10.1.0.0/16"))
    assert everything.overlaps(ip_network("172.16.0.0/12"))
    assert not everything.overlaps(ip_network("fd00::/8"))


def test_absurd_objects_are_read_as_if_they_said_nothing() -> None:
    for spec in (None, [], {"parentRefs": 1, "rules": [None, 2, {"matches": "x"}]}):
        found: Json = {"metadata": {"namespace": "a", "name": "b"}, "spec": spec}
        assert read_gateway_http_route(found).parents == ()
        assert read_grpc_route(found).parents == ()
        assert read_egress_network(found).networks is None
