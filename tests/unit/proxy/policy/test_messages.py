"""Answers about a port as values, and answers that are none."""

from collections.abc import Callable

import pytest

from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proxy.policy.messages import server
from linkerd2_py.proxy.policy.order import Case
from linkerd2_py.proxy.policy.server import (
    ANYBODY,
    DEFAULT_ROUTE,
    EVERYWHERE,
    Identities,
    Override,
    Protocol,
    RateLimit,
    Reference,
    default,
)
from tests.support import policy_stub as stub


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


def test_routes_are_numbered_in_the_order_of_their_conditions() -> None:
    routes = [
        stub.route("all"),
        stub.route("api", path="/api"),
        stub.route("one", path="/one", exact=True),
    ]
    found = server(stub.server(kind="http2", routes=routes))
    assert [one.reference.name for one in found.routes] == ["all", "api", "one"]
    assert [one.route for one in found.order.cases] == [2, 1, 0]
    assert found.order.numbers == (0, 1)
    assert found.order.otherwise == Case(0)


def test_the_same_answer_again_is_the_same_policy() -> None:
    routes = [stub.route("api", stub.authz("a"), path="/api"), stub.route("all")]
    made = stub.server(kind="http2", routes=routes)
    assert server(made) == server(inbound.Server.FromString(made.SerializeToString()))
    routes[0].rules[0].matches[0].headers.add(name="a", regex="b+")
    assert server(made) != server(stub.server(kind="http2", routes=routes))


def test_a_pattern_that_is_not_supported_makes_the_whole_invalid() -> None:
    """Whose requests it means could be meant for somebody else."""
    routed = stub.route("a")
    routed.rules[0].matches[0].path.regex = "(a"
    with pytest.raises(ValueError, match="a"):
        server(stub.server(kind="http2", routes=[routed]))


@pytest.mark.parametrize("kind", ["detect", "http1", "http2"])
def test_a_rate_limit_and_whom_it_is_for(kind: str) -> None:
    made = stub.server(kind=kind)
    part = getattr(made.protocol, kind)
    limit = part.http_local_rate_limit if kind == "detect" else part.local_rate_limit
    limit.metadata.resource.CopyFrom(
        meta.Resource(group="policy.linkerd.io", kind="httplocalratelimitpolicy", name="web")
    )
    limit.total.requestsPerSecond = 100
    limit.identity.requestsPerSecond = 0
    override = limit.overrides.add()
    override.limit.requestsPerSecond = 10
    override.clients.identities.add(name="a.b")
    # Without a number it says nothing.
    limit.overrides.add().clients.identities.add(name="c.d")
    found = server(made).rate_limit
    assert found == RateLimit(
        Reference("policy.linkerd.io", "httplocalratelimitpolicy", "web"),
        total=100,
        overrides=(Override(10, frozenset({"a.b"})),),
    )
    assert server(stub.server(kind=kind)).rate_limit is None


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
