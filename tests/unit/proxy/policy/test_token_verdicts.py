"""Who is let in by what he is, who only by a token, and what is read of that in answers."""

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.client import Client
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proxy.policy.messages import server as read_server
from linkerd2_py.proxy.policy.server import INVALID
from linkerd2_py.proxy.policy.verdict import Verdict, judge
from tests.support.policy_stub import authz, resource, route, server

NAME = "web.shop.serviceaccount.identity.linkerd.cluster.local"
PLAIN = Client()
MESHED = Client(identity=NAME, secured=True)
PEER = Address("10.0.0.7", 40000)


def by_token(
    name: str,
    *,
    networks: tuple[str, ...] = ("10.0.0.0/8",),
    header: str = "",
    meshed: bool = False,
) -> inbound.Authz:
    made = authz(name, networks=networks)
    jwt = inbound.Authn.PermitJwt(
        metadata=resource("JWTAuthentication", name), issuer="a", jwks='{"keys": []}'
    )
    if header:
        jwt.headers.add(claim="sub", header=header)
    if meshed:
        jwt.mesh_tls.identities.identities.add(name=NAME)
    made.authentication.jwt.CopyFrom(jwt)
    return made


def verdict(
    *said: inbound.Authz, client: Client = PLAIN, routes: tuple[inbound.HttpRoute, ...] = ()
) -> Verdict:
    return judge(read_server(server(*said, routes=routes)), client, PEER)


def tokens(found: Verdict) -> list[str]:
    return [one.reference.name for one in found.otherwise.tokens]


def test_a_token_is_for_requests_and_not_for_connections() -> None:
    found = verdict(by_token("login"))
    assert tokens(found) == ["login"]
    assert found.otherwise.refusal is None
    assert found.otherwise.authorization is None
    assert not found.opaque
    assert not found.differs


def test_who_is_let_in_anyway_needs_none() -> None:
    found = verdict(by_token("login"), authz("near", networks=["10.0.0.0/8"]))
    assert tokens(found) == []
    assert found.otherwise.authorization is not None
    assert found.opaque


def test_a_token_helps_only_who_is_what_it_asks_for_besides() -> None:
    assert tokens(verdict(by_token("far", networks=("192.0.2.0/24",)))) == []
    assert verdict(by_token("far", networks=("192.0.2.0/24",))).otherwise.refusal is not None
    assert tokens(verdict(by_token("both", meshed=True))) == []
    assert tokens(verdict(by_token("both", meshed=True), client=MESHED)) == ["both"]


def test_routes_whose_tokens_differ_are_kept_apart() -> None:
    admin = route("admin", by_token("admins"), path="/admin")
    found = verdict(by_token("all"), routes=(admin, route("rest")))
    assert [[one.reference.name for one in of.tokens] for of in found.outcomes] == [
        ["all", "admins"],
        ["all"],
    ]
    assert found.differs


def test_what_claims_are_told_as_is_reserved_whoever_asks() -> None:
    found = verdict(by_token("login", header="X-User"), authz("near", networks=["10.0.0.0/8"]))
    assert found.reserved == ("x-user",)


def test_nobody_is_let_in_by_a_policy_that_cannot_be_used() -> None:
    assert judge(INVALID, PLAIN, PEER).otherwise.tokens == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("issuer", ""),
        ("jwks", ""),
        ("header", "content-length"),
        ("header", "L5D-x"),
        ("header", "a b"),
    ],
)
def test_what_cannot_be_checked_as_it_is_meant_is_no_policy(field: str, value: str) -> None:
    said = by_token("login")
    setattr(said.authentication.jwt, field, value)
    with pytest.raises(ValueError, match=r"."):
        read_server(server(said))


@pytest.mark.parametrize("algorithm", ["none", "HS256", ""])
def test_an_algorithm_that_nobody_verifies(algorithm: str) -> None:
    said = by_token("login")
    said.authentication.jwt.algorithms.append(algorithm)
    with pytest.raises(ValueError, match="tokens signed by"):
        read_server(server(said))
