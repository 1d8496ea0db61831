"""Which parents take a route, and why not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.routes import POLICY, Object, Route, TCPRoute, TLSRoute
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.attachment import ACCEPTED, attached, attachment
from linkerd2_py.controlplane.policy.cluster import Cluster
from tests.support.outbound_shop import WEB, grpc_route, http_route, service

CLUSTER = Cluster()
OUT = Parent(POLICY, "EgressNetwork", "shop", "out", 443)
OUTSIDE = (Network(ip_network("8.0.0.0/8")),)


def reason(store: MeshStore, route: Route, parent: Parent = WEB) -> str:
    condition = attachment(route, parent, mesh=store.mesh, cluster=CLUSTER)
    assert condition
    assert condition.holds == (condition == ACCEPTED)
    return condition.message or condition.reason


def test_a_service_takes_routes_unless_it_is_a_name_alone() -> None:
    store = MeshStore()
    assert reason(store, http_route()) == "NoMatchingParent"
    for named in ({"headless": True}, {"alias": True}):
        store.put(replace(service(ips=()), **named))
        assert reason(store, http_route()) == "parent service must have a ClusterIP"
    store.put(service())
    assert reason(store, http_route()) == "Accepted"


def test_an_egress_network_takes_routes_unless_it_is_about_the_cluster() -> None:
    store = MeshStore()
    route = replace(http_route(), parents=(OUT,))
    assert reason(store, route, OUT) == "NoMatchingParent"
    for networks in (OUTSIDE, None):
        store.put(EgressNetwork("shop", "out", allows=True, networks=networks))
        assert reason(store, route, OUT) == "Accepted"
    store.put(
        EgressNetwork("shop", "out", allows=True, networks=(Network(ip_network("10.1.0.0/16")),))
    )
    assert reason(store, route, OUT) == "EgressNetwork parent has not been accepted"


def test_a_server_takes_routes_if_it_is_there() -> None:
    store = MeshStore()
    parent = Parent(POLICY, "Server", "shop", "web")
    assert reason(store, http_route(), parent) == "NoMatchingParent"
    store.put(Server("shop", "web", 80))
    assert reason(store, http_route(), parent) == "Accepted"


def test_what_another_controller_knows_is_its_own() -> None:
    gate = Parent("gateway.networking.k8s.io", "Gateway", "shop", "gate")
    assert attachment(http_route(), gate, mesh=MeshStore().mesh, cluster=CLUSTER) is None


@pytest.mark.parametrize("parent", [WEB, WEB._replace(port=0)])
def test_routes_of_a_more_special_kind_at_the_very_same_parent_go_before(parent: Parent) -> None:
    store = MeshStore()
    grpc, http = grpc_route(), http_route()
    tls = TLSRoute(namespace="shop", name="tls", parents=(parent,))
    tcp = TCPRoute(namespace="shop", name="tcp", parents=(parent,))
    store.put(service(), grpc, http, tls, tcp)
    assert reason(store, grpc) == "Accepted"
    assert reason(store, http) == "RouteReasonConflicted"
    same = parent == WEB
    assert reason(store, tls, parent) == ("RouteReasonConflicted" if same else "Accepted")
    assert reason(store, tcp, parent) == "RouteReasonConflicted"


def test_routes_of_a_port_are_those_that_name_it_or_none() -> None:
    store = MeshStore()
    web = Object("Service", "shop", "web")
    of_80, of_all = http_route("one"), replace(http_route("all"), parents=(WEB._replace(port=0),))
    store.put(
        service(), of_80, of_all, replace(http_route("two"), parents=(WEB._replace(port=81),))
    )
    found = attached(type(of_80), web, port=80, mesh=store.mesh, cluster=CLUSTER)
    assert [one.name for one in found] == ["one", "all"]


def test_routes_of_an_egress_network_name_its_port() -> None:
    store = MeshStore()
    any_port = replace(http_route("any"), parents=(OUT._replace(port=0),))
    one_port = replace(http_route("one"), parents=(OUT,))
    store.put(EgressNetwork("shop", "out", allows=True, networks=OUTSIDE), any_port, one_port)
    out = Object("EgressNetwork", "shop", "out")
    found = attached(type(any_port), out, port=443, mesh=store.mesh, cluster=CLUSTER)
    assert [one.name for one in found] == ["one"]
