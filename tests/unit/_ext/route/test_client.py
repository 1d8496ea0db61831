"""Who is at the other end, what that is counted as, and what policy says."""

import pytest

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.route.client import Permission
from linkerd2_py._ext.route.testing import (
    KnownClients,
    count_connection,
    count_request,
    raw_identity,
    refusal,
)

NO_TLS = (("tls", "no_identity"), ("no_tls_reason", "not_provided_by_remote"))
NAME = "web.shop.serviceaccount.identity.linkerd.cluster.local"
CLIENTS_MAX = 4096


@pytest.fixture
def clients() -> KnownClients:
    return KnownClients(Registry(max_series=10_000), (("srv_name", "http"),), NO_TLS)


def test_one_without_tls_has_no_identity_and_the_labels_of_the_server(
    clients: KnownClients,
) -> None:
    plain = clients.plain
    assert plain.identity is None
    assert raw_identity(plain) is None
    assert not plain.secured
    assert plain.labels == NO_TLS
    assert clients.tcp_labels(plain) == (
        b'direction="inbound",peer="src",tls="no_identity",'
        b'no_tls_reason="not_provided_by_remote",srv_name="http"'
    )


def test_one_to_a_port_that_is_skipped_says_so(clients: KnownClients) -> None:
    skipped = clients.skipped
    assert skipped is not clients.plain
    assert skipped.identity is None
    assert not skipped.secured
    assert skipped.labels == (("tls", "no_identity"), ("no_tls_reason", "port_skipped"))
    assert b'no_tls_reason="port_skipped"' in clients.tcp_labels(skipped)


def test_where_nobody_looks_for_tls_no_port_is_skipped() -> None:
    clients = KnownClients(Registry(), no_tls=NO_TLS, looks_for_tls=False)
    assert clients.skipped is clients.plain
    assert clients.skipped.labels == NO_TLS


def test_what_was_proven_is_the_identity(clients: KnownClients) -> None:
    client = clients.secured(NAME.encode())
    assert client.identity == NAME
    assert raw_identity(client) == NAME.encode()
    assert client.secured
    assert client.labels == (("tls", "true"), ("client_id", NAME))
    assert clients.tcp_labels(client) == (
        f'direction="inbound",peer="src",tls="true",client_id="{NAME}",srv_name="http"'.encode()
    )


def test_one_over_tls_that_proved_nothing_is_secured_and_unknown(clients: KnownClients) -> None:
    client = clients.secured(None)
    assert client.identity is None
    assert raw_identity(client) is None
    assert client.secured
    assert client.labels == (("tls", "true"), ("client_id", ""))
    assert clients.secured(None) is client


def test_a_connection_is_counted_by_what_is_known_of_it(clients: KnownClients) -> None:
    client = clients.secured(NAME.encode())
    address = b'target_addr="127.0.0.1:80",target_ip="127.0.0.1",target_port="80"'
    permission = Permission(server=(("srv_kind", "default"),), labels=(("route_kind", "default"),))
    begin, mine = b'direction="inbound",peer="src",', f'tls="true",client_id="{NAME}",'.encode()
    assert clients.tcp_labels(client, address) == begin + address + b"," + mine + b'srv_name="http"'
    assert clients.tcp_labels(client, address, permission) == (
        begin + address + b"," + mine + b'srv_name="http",srv_kind="default"'
    )
    # Of what has no address of the workload's, nothing else is told either.
    assert clients.tcp_labels(client, None, permission) == begin + mine + b'srv_name="http"'


def test_each_identity_is_one_client(clients: KnownClients) -> None:
    web, api = clients.secured(b"web"), clients.secured(b"api")
    assert clients.secured(b"web") is web
    assert clients.secured(b"api") is api
    assert web is not api


def test_a_name_that_is_not_ascii_is_shown_with_marks(clients: KnownClients) -> None:
    assert clients.secured(b"w\xffb").identity == "w\ufffdb"


def test_what_peers_can_make_us_keep_is_bounded(clients: KnownClients) -> None:
    first = clients.secured(b"0")
    for number in range(1, CLIENTS_MAX):
        clients.secured(b"%d" % number)
    assert clients.secured(b"0") is first
    newest = clients.secured(b"one more")
    # All are resolved anew, and whoever holds an old one keeps what it is.
    assert clients.secured(b"0") is not first
    assert clients.secured(b"one more") is newest
    assert first.identity == "0"


def test_without_a_refusal_a_client_is_let_in_and_nothing_need_be_counted() -> None:
    permission = Permission()
    assert refusal(permission) is None
    count_request(permission)
    count_connection(permission)


def test_a_refusal_says_why_in_what_a_head_can_carry() -> None:
    assert refusal(Permission(refusal="not allowed")) == b"not allowed"
    assert refusal(Permission(refusal="n\u00e9 permis")) == b"n? permis"
    # A reason without words refuses too.
    assert refusal(Permission(refusal="")) == b""


def test_requests_and_connections_are_counted_apart() -> None:
    registry = Registry()
    requests, connections = (registry.counter(name, "As asked.") for name in ("asked", "opened"))
    permission = Permission(requests=requests, connections=connections)
    count_request(permission)
    count_request(permission)
    count_connection(permission)
    assert (requests.value, connections.value) == (2, 1)
    only = Permission(connections=connections)
    count_request(only)
    count_connection(only)
    assert (requests.value, connections.value) == (2, 2)
