"""Answers about a port as values, and answers that are none."""

from collections.abc import Callable

import pytest

from linkerd2_py.proto.gen import grpc_route_pb2 as grpc_route
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proxy.policy.messages import grpc_rule, http_rule, server
from linkerd2_py.proxy.policy.server import (
    ANYBODY,
    DEFAULT_ROUTE,
    EVERYWHERE,
    Identities,
    PathRule,
    Protocol,
    Reference,
    default,
)
from tests.support import policy_stub as stub

PREFIX = http_route.PathMatch(prefix="/api")


def test_a_server_and_what_it_is_called() -> None:
    found = server(stub.server(stub.authz("a"), name="web"))
    assert found.reference == Reference("policy.linkerd.io", "server", "web")
    assert (found.protocol, found.detect_timeout_s) == (Protocol.DETECT, 10.0)
    assert found.routes == (DEFAULT_ROUTE,)
    (only,) = found.authorizations
    assert only.reference == Reference("policy.linkerd.io", "authorizationpolicy", "a")
    assert (only.networks, only.tls, only.identities) == (EVERYWHERE, False, None)


@pytest.mark.parametrize("protocol", Protocol)
def test_every_protocol(protocol: Protocol) -> None:
    found = server(stub.server(kind=protocol.value))
    assert found.protocol is protocol
    assert found.is_opaque == (protocol is Protocol.OPAQUE)
    assert found.only_http == (protocol in {Protocol.HTTP1, Protocol.HTTP2, Protocol.GRPC})


@pytest.mark.parametrize(
    ("authorization", "tls", "identities"),
    [
        (stub.authz(tls=True), True, None),
        (stub.authz(identities=["a.b"]), True, Identities(frozenset({"a.b"}))),
        (stub.authz(suffixes=["b.c"]), True, Identities(endings=(".b.c",))),
        (stub.authz(identities=["a.b"], suffixes=["b.c", ""]), True, ANYBODY),
    ],
)
def test_who_is_meant(authorization: inbound.Authz, tls: bool, identities: Identities) -> None:
    (only,) = server(stub.server(authorization)).authorizations
    assert (only.tls, only.identities) == (tls, identities)


def test_an_ending_is_one_of_whole_labels() -> None:
    found = Identities(endings=(".b.c",))
    assert found.contains("a.b.c")
    assert not found.contains("ab.c")
    assert not found.contains("b.c")


@pytest.mark.parametrize(
    ("networks", "excepts", "inside", "outside"),
    [
        (["10.10.0.0/16"], ["10.10.9.0/24"], ["10.10.0.1", "::ffff:10.10.1.1"], ["10.10.9.1", "10.11.0.1", ""]),
        (["fd00::/8", "10.0.0.1/32"], [], ["fd12::1", "10.0.0.1"], ["fe80::1", "10.0.0.2"]),
        (["::ffff:10.0.0.0/104"], [], ["10.1.1.1"], ["11.0.0.1"]),
        (["0.0.0.0/0"], [], ["1.2.3.4"], ["fd00::1"]),
        (["::/0", "0.0.0.0/0"], [], ["1.2.3.4", "fd00::1", ""], []),
    ],
)  # fmt: skip
def test_networks(
    networks: list[str], excepts: list[str], inside: list[str], outside: list[str]
) -> None:
    (only,) = server(stub.server(stub.authz(networks=networks, excepts=excepts))).authorizations
    assert [only.has(host) for host in (*inside, *outside)] == [True] * len(inside) + [False] * len(
        outside
    )


def test_names_of_older_answers() -> None:
    found = stub.server(stub.authz())
    found.authorizations[0].ClearField("metadata")
    found.authorizations[0].labels["name"] = "default:all-unauthenticated"
    found.labels.clear()
    found.labels["name"] = "default:cluster-authenticated"
    value = server(found)
    assert value.reference == default("cluster-authenticated")
    assert value.authorizations[0].reference == default("all-unauthenticated")


@pytest.mark.parametrize(
    ("match", "rule"),
    [
        (http_route.HttpRouteMatch(), PathRule()),
        (http_route.HttpRouteMatch(path=PREFIX), PathRule("/api")),
        (http_route.HttpRouteMatch(path=http_route.PathMatch(prefix="")), PathRule()),
        (http_route.HttpRouteMatch(path=http_route.PathMatch(exact="/a")), PathRule("/a", below=False)),
        (
            http_route.HttpRouteMatch(path=http_route.PathMatch(regex="/a.*")),
            PathRule(conditional=True, anywhere=True),
        ),
        (
            http_route.HttpRouteMatch(path=PREFIX, headers=[http_route.HeaderMatch(name="a", exact=b"b")]),
            PathRule("/api", conditional=True),
        ),
        (
            http_route.HttpRouteMatch(query_params=[http_route.QueryParamMatch(name="a", regex="b")]),
            PathRule(conditional=True),
        ),
    ],
)  # fmt: skip
def test_what_a_match_means(match: http_route.HttpRouteMatch, rule: PathRule) -> None:
    assert http_rule(match) == rule


def test_methods_known_and_unknown() -> None:
    match = http_route.HttpRouteMatch()
    match.method.registered = match.method.Registered.Value("PUT")
    assert http_rule(match).method == "PUT"
    match.method.unregistered = "PURGE"
    assert http_rule(match).method == "PURGE"


@pytest.mark.parametrize(
    ("service", "method", "rule"),
    [
        ("", "", PathRule()),
        ("a.B", "", PathRule("/a.B")),
        ("a.B", "C", PathRule("/a.B/C", below=False)),
        ("", "C", PathRule(conditional=True, anywhere=True)),
    ],
)
def test_grpc_methods_are_paths(service: str, method: str, rule: PathRule) -> None:
    match = grpc_route.GrpcRouteMatch(rpc=grpc_route.GrpcRpcMatch(service=service, method=method))
    assert grpc_rule(match) == rule


def test_a_route_with_hosts_goes_before_others() -> None:
    routed = stub.route("a", path="/x", exact=True)
    routed.hosts.add(exact="a.example")
    (found,) = server(stub.server(kind="http2", routes=[routed])).routes
    assert found.rules == (PathRule("/x", below=False, conditional=True, anywhere=True),)


def without(*path: str) -> inbound.Server:
    """A whole answer that lacks one thing."""
    made = stub.server(stub.authz(), kind="detect", routes=[stub.route("a")])
    at = made
    for name in path[:-1]:
        at = at[int(name)] if name.isdigit() else getattr(at, name)  # type: ignore[index]
    at.ClearField(path[-1])
    return made


def header_without_value(made: inbound.Server) -> None:
    made.protocol.detect.http_routes[0].rules[0].matches[0].headers.add(name="a")


def empty_metadata(made: inbound.Server) -> None:
    made.authorizations[0].metadata.CopyFrom(meta.Metadata())


def negative_timeout(made: inbound.Server) -> None:
    made.protocol.detect.timeout.seconds = -1


def wide_network(made: inbound.Server) -> None:
    made.authorizations[0].networks[0].net.prefix_len = 33


@pytest.mark.parametrize(
    "made",
    [
        without("protocol"),
        without("labels"),
        without("protocol", "detect", "timeout"),
        without("authorizations", "0", "networks"),
        without("authorizations", "0", "networks", "0", "net"),
        without("authorizations", "0", "authentication"),
        without("authorizations", "0", "metadata"),
        without("protocol", "detect", "http_routes", "0", "metadata"),
        without("protocol", "detect", "http_routes", "0", "rules"),
        without("protocol", "detect", "http_routes", "0", "rules", "0", "matches", "0", "path", "prefix"),
    ],
)  # fmt: skip
def test_what_lacks_something_is_refused(made: inbound.Server) -> None:
    # An absent path is none; one without a kind is wrong.
    if made.protocol.detect.http_routes and made.protocol.detect.http_routes[0].rules:
        made.protocol.detect.http_routes[0].rules[0].matches[0].path.SetInParent()
    with pytest.raises(ValueError, match=r"."):
        server(made)


@pytest.mark.parametrize(
    "spoil", [header_without_value, empty_metadata, negative_timeout, wide_network]
)
def test_what_says_something_absurd_is_refused(spoil: Callable[[inbound.Server], None]) -> None:
    made = stub.server(stub.authz(), routes=[stub.route("a")])
    server(made)
    spoil(made)
    with pytest.raises(ValueError, match=r"."):
        server(made)
