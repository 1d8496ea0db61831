"""Objects of policy.linkerd.io as they come: what is understood, and that what is not lets nobody in."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import (
    Authentication,
    Clients,
    Identities,
    RateOverride,
    Target,
)
from linkerd2_py.controlplane.mesh.selector import Selector
from linkerd2_py.controlplane.sources.kubernetes.policy import (
    read_authorization_policy,
    read_meshtls_authentication,
    read_network_authentication,
    read_rate_limit_policy,
    read_server,
    read_server_authorization,
)

POLICY = "policy.linkerd.io"
ABSURD: list[Any] = [None, 1, "x", [], {}, [None], {"a": None}]


def found(spec: object, **about: object) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": "it", **about}, "spec": spec}


def test_a_server_has_its_labels_and_its_age() -> None:
    server = read_server(
        found(
            {"podSelector": {}, "port": "http"},
            labels={"a": "b"},
            creationTimestamp="1970-01-01T00:00:07Z",
        )
    )
    assert (server.labels, server.created, server.port) == ({"a": "b"}, 7.0, "http")


def test_a_server_authorization_by_name_or_by_labels() -> None:
    client = {
        "networks": [{"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}, {"cidr": "192.0.2.1"}],
        "meshTLS": {
            "identities": ["*.a"],
            "serviceAccounts": [{"name": "web"}, {"name": "db", "namespace": "data"}],
        },
    }
    one = read_server_authorization(found({"server": {"name": "web"}, "client": client}))
    assert (one.server, one.selector) == ("web", None)
    assert one.clients == Clients(
        (
            Network(ip_network("10.0.0.0/8"), (ip_network("10.9.0.0/16"),)),
            Network(ip_network("192.0.2.1/32")),
        ),
        Identities(("*.a",), (Key("shop", "web"), Key("data", "db"))),
    )
    by_labels = {"server": {"selector": {"matchLabels": {"a": "b"}}}, "client": {}}
    assert read_server_authorization(found(by_labels)).selector == Selector({"a": "b"})


@pytest.mark.parametrize(
    ("client", "clients"),
    [
        ({"unauthenticated": True}, Clients()),
        ({"meshTLS": {"unauthenticatedTLS": True}}, Clients(tls=True)),
        ({"meshTLS": {"identities": ["a.b"]}}, Clients(identities=Identities(("a.b",)))),
        ({"meshTLS": {}}, None),
        ({"unauthenticated": "true"}, None),
        # Without its networks it would mean clients everywhere in the cluster.
        ({"unauthenticated": True, "networks": [{"cidr": "10.0.0.0/99"}]}, None),
        ({"unauthenticated": True, "networks": [{"cidr": "10.0.0.0/8", "except": ["x"]}]}, None),
        *((one, None) for one in ABSURD),
    ],
)
def test_whom_a_server_authorization_lets_in(client: object, clients: Clients | None) -> None:
    spec = {"server": {"name": "web"}, "client": client}
    assert read_server_authorization(found(spec)).clients == clients


@pytest.mark.parametrize(
    ("ref", "target"),
    [
        ({"group": POLICY, "kind": "Server", "name": "web"}, Target("Server", "web")),
        ({"group": POLICY.upper(), "kind": "server", "name": "web"}, Target("Server", "web")),
        ({"kind": "Namespace", "name": "shop"}, Target("Namespace")),
        ({"group": "core", "kind": "Namespace", "name": "shop"}, Target("Namespace")),
        ({"kind": "Namespace", "name": "other"}, None),
        ({"group": POLICY, "kind": "HTTPRoute", "name": "r"}, Target("HTTPRoute", "r", POLICY)),
        (
            {"group": "gateway.networking.k8s.io", "kind": "GRPCRoute", "name": "r"},
            Target("GRPCRoute", "r", "gateway.networking.k8s.io"),
        ),
        ({"group": POLICY, "kind": "GRPCRoute", "name": "r"}, None),
        ({"group": "example.com", "kind": "Server", "name": "web"}, None),
        *((one, None) for one in ABSURD),
    ],
)
def test_what_an_authorization_policy_is_about(ref: object, target: Target | None) -> None:
    spec = {"targetRef": ref, "requiredAuthenticationRefs": []}
    assert read_authorization_policy(found(spec)).target == target


def test_what_an_authorization_policy_requires() -> None:
    refs: list[Any] = [
        {"group": POLICY, "kind": "MeshTLSAuthentication", "name": "a"},
        {"group": POLICY, "kind": "NetworkAuthentication", "name": "b", "namespace": "nets"},
        {"kind": "ServiceAccount", "name": "c", "namespace": "client"},
    ]
    spec = {"requiredAuthenticationRefs": refs}
    assert read_authorization_policy(found(spec)).requires == (
        Authentication("MeshTLSAuthentication", "shop", "a"),
        Authentication("NetworkAuthentication", "nets", "b"),
        Authentication("ServiceAccount", "client", "c"),
    )
    # One less would be required.
    refs.append({"kind": "User", "name": "d"})
    assert read_authorization_policy(found(spec)).requires is None


@pytest.mark.parametrize(
    ("spec", "identities"),
    [
        ({"identities": ["*", "a.b"]}, Identities(("*", "a.b"))),
        (
            {"identityRefs": [{"kind": "ServiceAccount", "name": "web"}]},
            Identities(accounts=(Key("shop", "web"),)),
        ),
        (
            {"identityRefs": [{"kind": "Namespace", "name": "client"}]},
            Identities(namespaces=("client",)),
        ),
        ({"identities": ["a"], "identityRefs": [{"kind": "Pod", "name": "web"}]}, None),
        *((one, None) for one in ABSURD),
    ],
)
def test_who_passes_a_meshtls_authentication(spec: object, identities: Identities | None) -> None:
    assert read_meshtls_authentication(found(spec)).identities == identities


@pytest.mark.parametrize(
    ("networks", "passing"),
    [
        ([{"cidr": "fd00::/8"}], (Network(ip_network("fd00::/8")),)),
        ([{"cidr": "10.0.0.0/8"}, {"cidr": "x"}], ()),
        ([{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/99"]}], ()),
        *((one, ()) for one in ABSURD if one != [None]),
    ],
)
def test_who_passes_a_network_authentication(
    networks: object, passing: tuple[Network, ...]
) -> None:
    assert read_network_authentication(found({"networks": networks})).networks == passing


def test_a_rate_limit_of_a_server() -> None:
    spec = {
        "targetRef": {"group": POLICY, "kind": "Server", "name": "web"},
        "total": {"requestsPerSecond": 100},
        "overrides": [
            {
                "requestsPerSecond": 5,
                "clientRefs": [{"kind": "ServiceAccount", "name": "a", "namespace": "b"}],
            }
        ],
    }
    policy = read_rate_limit_policy(found(spec))
    assert (policy.server, policy.total, policy.identity) == ("web", 100, None)
    assert policy.overrides == (RateOverride(5, (Key("b", "a"),)),)


@pytest.mark.parametrize(
    "spec",
    [
        {"targetRef": {"group": POLICY, "kind": "HTTPRoute", "name": "web"}},
        {
            "targetRef": {"group": POLICY, "kind": "Server", "name": "web"},
            "overrides": [{"requestsPerSecond": 1, "clientRefs": [{"kind": "Pod", "name": "a"}]}],
        },
        *ABSURD,
    ],
)
def test_a_rate_limit_that_cannot_be_understood_is_of_no_server(spec: object) -> None:
    assert read_rate_limit_policy(found(spec)).server == ""
