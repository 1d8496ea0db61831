"""Who is at the other end, what that is counted as, and what policy says."""

import pytest

from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy import match
from linkerd2_py._ext.policy.rules import Rules
from linkerd2_py._ext.route.client import Permission
from linkerd2_py._ext.route.testing import KnownClients, answer, count_connection, raw_identity

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
    permission = Permission(server=(("srv_kind", "default"),))
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


def passage(refusal: str | None = None, **options: object) -> Passage:
    return Passage(refusal=refusal, **options)  # type: ignore[arg-type]  # as above


def test_without_anything_said_all_are_let_in_and_nothing_need_be_counted() -> None:
    permission = Permission()
    assert answer(permission) is None
    count_connection(permission)


def test_a_refusal_says_why_in_what_a_head_can_carry() -> None:
    for said, heard in (
        ("not allowed", b"not allowed"),
        ("n\u00e9 permis", b"n? permis"),
        ("", b""),
    ):
        # A reason without words refuses too.
        assert answer(Permission(otherwise=passage(said))) == (403, heard)


def test_the_first_rule_that_holds_decides() -> None:
    rules = Rules([match.path(b"/a"), match.path_prefix(b"/a"), match.method(b"PUT")])
    passages = (passage(), passage("below", status=404), passage("put"))
    permission = Permission(
        otherwise=passage("else"), rules=rules, routes=(0, 1, 2), passage=passages.__getitem__
    )
    asked = [(b"/a", b"PUT"), (b"/a/b", b"PUT"), (b"/b", b"PUT"), (b"/b", b"GET")]
    assert [answer(permission, path, method) for path, method in asked] == [
        None,
        (404, b"below"),
        (403, b"put"),
        (403, b"else"),
    ]


@pytest.mark.parametrize(
    ("path", "is_doubtful"),
    [
        (b"/a/b", False),
        (b"/a/./b", False),
        (b"/a/b..c", False),
        (b"/a?b=/../c", False),
        (b"/a/..", True),
        (b"/../a", True),
        (b"/a/%2e%2E/b", True),
        (b"/a%2fb", True),
        (b"/a/%252e/b", True),
        (b"/a\\..\\b", True),
        (b"/a/%5Cb", True),
    ],
)
def test_paths_that_could_be_others_are_doubtful_where_routes_differ(
    path: bytes, is_doubtful: bool
) -> None:
    rules = Rules([match.path_prefix(b"/")])
    permission = Permission(
        otherwise=passage("else"),
        rules=rules,
        routes=(0,),
        passage=lambda _: passage(),
        doubtful=passage("doubtful"),
    )
    assert answer(permission, path) == ((403, b"doubtful") if is_doubtful else None)
    same = Permission(rules=rules, routes=(0,), passage=lambda _: passage())
    assert answer(same, path) is None


def test_requests_are_counted_by_their_route_and_connections_apart() -> None:
    registry = Registry()
    names = ("let_in", "refused", "opened")
    let_in, refused, opened = (registry.counter(name, "As asked.") for name in names)
    permission = Permission(
        rules=Rules([match.path(b"/a")]),
        routes=(0,),
        passage=lambda _: passage(requests=let_in),
        otherwise=passage("no", requests=refused),
        connections=opened,
    )
    for path in (b"/a", b"/a?b", b"/b"):
        answer(permission, path)
    count_connection(permission)
    assert (let_in.value, refused.value, opened.value) == (2, 1, 1)


def test_what_a_client_never_asks_for_is_not_made() -> None:
    """A policy may have hundreds of routes, each with series of its own for each client."""
    rules = Rules([match.path(b"/a"), match.path(b"/b"), match.path(b"/c")])
    asked: list[int] = []

    def made(route: int) -> Passage:
        asked.append(route)
        return passage()

    permission = Permission(rules=rules, routes=(7, 8, 7), passage=made)
    for path in (b"/a", b"/c", b"/a", b"/else"):
        assert answer(permission, path) is None
    assert asked == [7]


def test_each_rule_is_one_of_a_route() -> None:
    with pytest.raises(ValueError, match="each rule"):
        Permission(rules=Rules([match.path(b"/a")]))
    with pytest.raises(ValueError, match="each rule"):
        Permission(routes=(0,))
