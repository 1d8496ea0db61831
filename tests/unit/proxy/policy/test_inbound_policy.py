"""Who is let in: every policy, every kind of client, every kind of port; and what is counted and
remembered.
"""

import itertools
import re

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.route.client import Client
from linkerd2_py.proxy.addresses import parse_network
from linkerd2_py.proxy.config.types import InboundPolicy
from linkerd2_py.proxy.policy.inbound import PERMISSIONS_MAX, InboundPolicies
from linkerd2_py.proxy.policy.ports import PortPolicies
from linkerd2_py.proxy.policy.verdict import (
    DENIED,
    INVALID_POLICY,
    NEEDS_CLUSTER,
    NEEDS_IDENTITY,
    NEEDS_TLS,
    NO_ROUTE,
    NOT_AUTHORIZED,
    Verdict,
    judge,
)

NAME = "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
PLAIN = Client(labels=(("tls", "no_identity"), ("no_tls_reason", "no_tls_from_remote")))
NAMELESS = Client(secured=True, labels=(("tls", "true"), ("client_id", "")))
MESHED = Client(identity=NAME, secured=True, labels=(("tls", "true"), ("client_id", NAME)))
NEAR, FAR = Address("10.42.0.7", 40000), Address("192.0.2.7", 40000)
PLAIN_PORT, IDENTITY_PORT, TLS_PORT, BOTH_PORT = 80, 81, 82, 83

OPEN, SHUT = "all-unauthenticated", "deny"
MEMBERS, CLUSTER = "all-authenticated", "cluster-unauthenticated"
CLUSTER_MEMBERS = "cluster-authenticated"
POLICIES = (OPEN, MEMBERS, CLUSTER, CLUSTER_MEMBERS, SHUT)
PORTS = (PLAIN_PORT, IDENTITY_PORT, TLS_PORT, BOTH_PORT)
IN = None

# One letter for each client: plain, TLS without a name, meshed; first from near, then from far.
TABLE = {
    (OPEN, PLAIN_PORT): "... ...",
    (OPEN, IDENTITY_PORT): "ii. ii.",
    (OPEN, TLS_PORT): "t.. t..",
    (OPEN, BOTH_PORT): "ti. ti.",
    (MEMBERS, PLAIN_PORT): "ii. ii.",
    (MEMBERS, IDENTITY_PORT): "ii. ii.",
    (MEMBERS, TLS_PORT): "ti. ti.",
    (MEMBERS, BOTH_PORT): "ti. ti.",
    (CLUSTER, PLAIN_PORT): "... ccc",
    (CLUSTER, IDENTITY_PORT): "ii. iic",
    (CLUSTER, TLS_PORT): "t.. tcc",
    (CLUSTER, BOTH_PORT): "ti. tic",
    (CLUSTER_MEMBERS, PLAIN_PORT): "ii. iic",
    (CLUSTER_MEMBERS, IDENTITY_PORT): "ii. iic",
    (CLUSTER_MEMBERS, TLS_PORT): "ti. tic",
    (CLUSTER_MEMBERS, BOTH_PORT): "ti. tic",
    **{(SHUT, port): "ddd ddd" for port in PORTS},
}
MEANING = {".": IN, "i": NEEDS_IDENTITY, "t": NEEDS_TLS, "c": NEEDS_CLUSTER, "d": DENIED}


def policy(default: str, *networks: str) -> InboundPolicy:
    return InboundPolicy(
        default=default,
        cluster_networks=tuple(map(parse_network, networks or ("10.0.0.0/8", "fd00::/8"))),
        require_identity=frozenset({IDENTITY_PORT, BOTH_PORT}),
        require_tls=frozenset({TLS_PORT, BOTH_PORT}),
    )


def ports(default: InboundPolicy) -> PortPolicies:
    return PortPolicies(default, opaque_ports=frozenset(), api=None, on_change=lambda _: None)


def policies(default: str, *, registry: Registry | None = None) -> InboundPolicies:
    return InboundPolicies(ports(policy(default)).of, registry=registry or Registry())


def verdict(default: InboundPolicy, client: Client, peer: Address | None, port: int) -> Verdict:
    return judge(ports(default).of(port), client, peer)


def refusal(default: str, client: Client, peer: Address | None, port: int) -> str | None:
    found = verdict(policy(default), client, peer, port).otherwise.refusal
    return None if found is None else found.text


@pytest.mark.parametrize(("default", "port"), list(itertools.product(POLICIES, PORTS)))
def test_the_whole_table(default: str, port: int) -> None:
    expected = [MEANING[letter] for letter in TABLE[default, port].replace(" ", "")]
    clients = itertools.product((NEAR, FAR), (PLAIN, NAMELESS, MESHED))
    assert [refusal(default, who, peer, port) for peer, who in clients] == expected


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(("default", "port"), list(itertools.product(POLICIES, PORTS)))
def test_localhost_is_always_let_in(default: str, port: int, host: str) -> None:
    assert refusal(default, PLAIN, Address(host, 1), port) is IN


@pytest.mark.parametrize("host", ["127.0.0.2", "::ffff:127.0.0.2", "::2"])
def test_other_addresses_are_not_localhost(host: str) -> None:
    assert refusal(SHUT, PLAIN, Address(host, 1), PLAIN_PORT) == DENIED


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.255.0.1", IN),
        ("::ffff:10.0.0.1", IN),
        ("fd00::1", IN),
        ("11.0.0.1", NEEDS_CLUSTER),
        ("::ffff:11.0.0.1", NEEDS_CLUSTER),
        ("fe80::1%1", NEEDS_CLUSTER),
        ("::10.0.0.1", NEEDS_CLUSTER),
    ],
)
def test_the_cluster_is_where_its_networks_are(host: str, expected: str | None) -> None:
    assert refusal(CLUSTER, PLAIN, Address(host, 1), PLAIN_PORT) == expected


def test_a_network_of_link_local_addresses_counts_without_their_zone() -> None:
    found = verdict(policy(CLUSTER, "fe80::/10"), PLAIN, Address("fe80::1%1", 1), PLAIN_PORT)
    assert found.otherwise.refusal is IN


def test_a_peer_without_an_address_is_in_no_network() -> None:
    assert refusal(CLUSTER, PLAIN, None, PLAIN_PORT) == NEEDS_CLUSTER
    assert refusal(OPEN, PLAIN, None, PLAIN_PORT) is IN


@pytest.mark.parametrize(
    "text",
    [
        DENIED,
        NEEDS_TLS,
        NEEDS_IDENTITY,
        NEEDS_CLUSTER,
        NOT_AUTHORIZED,
        NO_ROUTE,
        INVALID_POLICY,
    ],
)
def test_refusals_may_stand_in_a_header(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z' ]{1,80}", text, re.ASCII)


SERVER = 'srv_group="",srv_kind="default",srv_name="{}",srv_port="{}"'
ROUTE = 'route_group="",route_kind="default",route_name="default"'
AUTHORIZATION = 'authz_group="",authz_kind="default",authz_name="{}"'
WITHOUT = 'tls="no_identity",no_tls_reason="no_tls_from_remote"'


def series(registry: Registry) -> list[str]:
    text = b"".join(registry.render()).decode()
    return [line for line in text.splitlines() if line.startswith("inbound_")]


def test_what_was_let_in_is_counted_with_linkerds_labels() -> None:
    registry = Registry()
    decided = policies(MEMBERS, registry=registry)
    decided.permission(MESHED, FAR, PLAIN_PORT)
    server = f'target_port="80",tls="true",client_id="{NAME}",{SERVER.format(MEMBERS, 80)}'
    granted = AUTHORIZATION.format(MEMBERS)
    assert series(registry) == [
        f"inbound_http_authz_allow_total{{{server},{ROUTE},{granted}}} 0",
        f"inbound_tcp_authz_allow_total{{{server},{granted}}} 0",
    ]


def test_what_was_refused_was_authorized_by_nothing() -> None:
    registry = Registry()
    decided = policies(OPEN, registry=registry)
    decided.permission(PLAIN, FAR, IDENTITY_PORT)
    # The port's own requirement makes another policy of it.
    server = f'target_port="81",{WITHOUT},{SERVER.format(MEMBERS, 81)}'
    assert series(registry) == [
        f"inbound_http_authz_deny_total{{{server},{ROUTE}}} 0",
        f"inbound_tcp_authz_deny_total{{{server}}} 0",
    ]


def test_localhost_is_named_as_what_let_it_in() -> None:
    registry = Registry()
    decided = policies(SHUT, registry=registry)
    decided.permission(PLAIN, Address("::1", 1), 90)
    granted = AUTHORIZATION.format("localhost")
    assert all(line.endswith(f"{granted}}} 0") for line in series(registry))
    assert len(series(registry)) == 2


def test_clients_of_one_answer_share_it_and_others_do_not() -> None:
    decided = policies(CLUSTER)
    first = decided.permission(PLAIN, NEAR, 80)
    assert decided.permission(Client(labels=PLAIN.labels), Address("10.0.0.1", 9), 80) is first
    others = [
        decided.permission(PLAIN, FAR, 80),
        decided.permission(PLAIN, NEAR, 90),
        decided.permission(MESHED, NEAR, 80),
    ]
    assert len({id(one) for one in (first, *others)}) == 4


def test_ports_that_somebody_tries_do_not_pile_up() -> None:
    decided = policies(OPEN)
    first = decided.permission(PLAIN, FAR, 1)
    for port in range(2, PERMISSIONS_MAX + 1):
        decided.permission(PLAIN, FAR, port)
    assert decided.permission(PLAIN, FAR, 1) is first
    for port in range(PERMISSIONS_MAX + 1, 3 * PERMISSIONS_MAX):
        decided.permission(PLAIN, FAR, port)
        assert len(decided._permissions) <= PERMISSIONS_MAX
    assert decided.permission(PLAIN, FAR, 1) is not first


def test_what_was_forgotten_goes_on_being_counted_where_it_was() -> None:
    registry = Registry()
    decided = policies(OPEN, registry=registry)
    kept = decided.permission(PLAIN, FAR, 1)
    for port in range(2, PERMISSIONS_MAX + 2):
        decided.permission(PLAIN, FAR, port)
    assert decided.permission(PLAIN, FAR, 1) is not kept
    lines = [line for line in series(registry) if 'target_port="1"' in line]
    assert len(lines) == 2
