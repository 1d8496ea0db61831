"""Policies of what lies outside of the cluster."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.routes import (
    POLICY,
    Backend,
    GRPCRoute,
    GRPCRule,
    Route,
    Rule,
    TLSRoute,
)
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.outbound.answers import Policies
from tests.support.outbound_shop import at, http_route, http_routes, policy, service

OUT = Parent(POLICY, "EgressNetwork", "client", "out", 443)
GOOGLE = "8.8.8.8"


def network(
    cidr: str = "8.0.0.0/8",
    *,
    name: str = "out",
    namespace: str = "client",
    allows: bool = True,
    created: float = 0.0,
) -> EgressNetwork:
    found = (Network(ip_network(cidr)),)
    return EgressNetwork(namespace, name, allows, networks=found, created=created)


def mesh(*objects: EgressNetwork | Route) -> MeshStore:
    store = MeshStore()
    store.put(*objects)
    return store


def ruled_by(store: MeshStore, ip: str = GOOGLE, *, of: str = "client") -> str:
    return policy(store, at(ip, port=443, of=of)).metadata.resource.name


def test_outside_everything_goes_where_it_was_going() -> None:
    found = policy(mesh(), at(GOOGLE, port=443))
    assert found.metadata.default == "egress-fallback"
    (route,) = http_routes(found)
    (first,) = route.rules[0].backends.first_available.backends
    assert first.backend.forward.addr.ip.ipv4 == 0x08080808
    assert policy(mesh(), at("2001:db8::1")).metadata.default == "egress-fallback"


@pytest.mark.parametrize("ip", ["10.200.0.9", "100.64.0.1", "192.168.1.1", "fd00::1"])
def test_addresses_of_the_cluster_are_nobodys(ip: str) -> None:
    assert not Policies(mesh().mesh, cluster=Cluster()).of(at(ip)).encoded
    empty = Cluster(networks=(ip_network("1.0.0.0/8"),))
    assert Policies(mesh().mesh, cluster=empty).of(at(ip)).encoded


def test_the_most_specific_network_rules_then_the_older_then_the_first_by_name() -> None:
    wide, narrow = network(name="wide"), network("8.8.0.0/16", name="narrow")
    assert ruled_by(mesh(wide, narrow)) == "narrow"
    assert ruled_by(mesh(wide, narrow), "8.1.1.1") == "wide"
    assert ruled_by(mesh(network(name="young", created=2), network(name="old", created=1))) == "old"
    assert ruled_by(mesh(network(name="b"), network(name="a"))) == "a"


def test_networks_of_the_clients_namespace_hide_those_for_all() -> None:
    for_all = network(name="all", namespace="linkerd-egress")
    assert ruled_by(mesh(for_all)) == "all"
    assert ruled_by(mesh(for_all, network()), of="client") == "out"
    assert ruled_by(mesh(for_all, network()), of="another") == "all"
    assert ruled_by(mesh(for_all, network("9.0.0.0/8"))) == ""
    assert ruled_by(mesh(network(namespace="elsewhere"))) == ""


def test_a_network_without_addresses_is_everything_outside() -> None:
    everything = EgressNetwork("client", "out", allows=False)
    assert ruled_by(mesh(everything)) == "out"
    assert ruled_by(mesh(everything), "2001:db8::1") == "out"
    assert not Policies(mesh(everything).mesh, cluster=Cluster()).of(at("10.1.1.1")).encoded


@pytest.mark.parametrize(("allows", "name"), [(True, "allow"), (False, "deny")])
def test_what_no_route_is_about_is_allowed_or_denied(allows: bool, name: str) -> None:
    found = policy(mesh(network(allows=allows)), at(GOOGLE, port=443))
    (http,) = http_routes(found)
    (opaque,) = found.protocol.detect.opaque.routes
    assert http.metadata.default == f"http-egress-{name}"
    assert opaque.metadata.default == f"tcp-egress-{name}"
    statuses = [one.failure_injector.status for one in http.rules[0].filters]
    assert statuses == ([] if allows else [403])
    assert [one.WhichOneof("kind") for one in opaque.rules[0].filters] == (
        [] if allows else ["forbidden"]
    )


def test_routes_stand_before_what_is_allowed() -> None:
    to = Backend(POLICY, "EgressNetwork", "client", "out", weight=3)
    base = http_route(namespace="client")
    route = replace(base, parents=(OUT,), rules=(replace(base.rules[0], backends=(to,)),))
    first, default = http_routes(policy(mesh(network(), route), at(GOOGLE, port=443)))
    assert first.metadata.resource.name == "route"
    assert default.metadata.default == "http-egress-allow"
    (weighted,) = first.rules[0].backends.random_available.backends
    assert weighted.weight == 3
    assert weighted.backend.backend.forward.addr.port == 443
    assert weighted.backend.backend.metadata.resource.port == 443


def test_a_route_leads_to_no_other_network_than_its_parent() -> None:
    to = Backend(POLICY, "EgressNetwork", "client", "other")
    base = http_route(namespace="client")
    route = replace(base, parents=(OUT,), rules=(replace(base.rules[0], backends=(to,)),))
    other = network("9.0.0.0/8", name="other")
    found = http_routes(policy(mesh(network(), other, route), at(GOOGLE, port=443)))
    (weighted,) = found[0].rules[0].backends.random_available.backends
    message = weighted.backend.filters[0].failure_injector.message
    assert message == (
        "Route with EgressNetwork backend needs to have the same EgressNetwork as a parent"
    )


def test_routes_of_other_kinds_stand_before_what_is_denied() -> None:
    rules = (GRPCRule(matches=()),)
    grpc = GRPCRoute(namespace="client", name="r", parents=(OUT,), rules=rules)
    denies = network(allows=False)
    found = policy(mesh(denies, grpc), at(GOOGLE, port=443)).protocol.grpc.routes
    assert found[1].metadata.default == "grpc-egress-deny"
    assert found[1].rules[0].filters[0].failure_injector.code == 7
    tls = TLSRoute(namespace="client", name="r", parents=(OUT,), rules=(Rule(),))
    found_tls = policy(mesh(denies, tls), at(GOOGLE, port=443)).protocol.tls.routes
    assert found_tls[1].metadata.default == "tls-egress-deny"
    assert found_tls[1].rules[0].filters[0].HasField("forbidden")


def test_ports_are_opaque_by_the_networks_annotation_or_by_default() -> None:
    by_default = policy(mesh(network()), at(GOOGLE, port=3306))
    assert by_default.protocol.WhichOneof("kind") == "opaque"
    store = mesh(replace(network(), opaque_ports=frozenset({443})))
    assert policy(store, at(GOOGLE, port=443)).protocol.WhichOneof("kind") == "opaque"
    assert policy(store, at(GOOGLE, port=3306)).protocol.WhichOneof("kind") == "detect"


def test_a_route_of_another_port_is_not_about_this_one() -> None:
    route = replace(http_route(namespace="client"), parents=(OUT._replace(port=80),))
    (default,) = http_routes(policy(mesh(network(), route), at(GOOGLE, port=443)))
    assert default.metadata.default == "http-egress-allow"


def test_failures_outside_are_not_counted_by_a_balancer_inside() -> None:
    annotations = {"balancer.alpha.linkerd.io/penalize-failures": "true"}
    route = replace(http_route(namespace="client"), parents=(OUT,))
    store = mesh(replace(network(), annotations=annotations), route)
    store.put(service("v2", ips=()))
    first, _ = http_routes(policy(store, at(GOOGLE, port=443)))
    (weighted,) = first.rules[0].backends.random_available.backends
    assert weighted.backend.backend.balancer.HasField("peak_ewma")
