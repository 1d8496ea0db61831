"""Whom servers and routes let in, and how far."""

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.client import Client
from linkerd2_py.proxy.matches import Match, Paths, Step
from linkerd2_py.proxy.policy.order import RouteOrder
from linkerd2_py.proxy.policy.server import (
    ANYBODY,
    EVERYWHERE,
    INVALID,
    Authorization,
    Identities,
    Reference,
    Route,
    ServerPolicy,
)
from linkerd2_py.proxy.policy.verdict import (
    DENIED,
    NEEDS_IDENTITY,
    NEEDS_TLS,
    NO_ROUTE,
    NOT_AUTHORIZED,
    Outcome,
    judge,
)

SERVER = Reference("policy.linkerd.io", "server", "web")
PLAIN, SECURED = Client(), Client(secured=True)
WEB, VOTING = (Client(identity=f"{name}.a.b", secured=True) for name in ("web", "voting"))
HERE = Address("10.0.0.1", 1)


def ref(name: str) -> Reference:
    return Reference("policy.linkerd.io", "authorizationpolicy", name)


def authorization(
    name: str, *, tls: bool = False, identities: Identities | None = None
) -> Authorization:
    return Authorization(ref(name), EVERYWHERE, tls or identities is not None, identities)


EVERYBODY = authorization("everybody")
MESHED = authorization("meshed", tls=True)
SOMEBODY = authorization("somebody", identities=ANYBODY)
ONE = authorization("one", identities=Identities(frozenset({"web.a.b"})))
ENDING = authorization("ending", identities=Identities(endings=(".a.b",)))


@pytest.mark.parametrize(
    ("authorizations", "expected"),
    [
        ((), {PLAIN: DENIED, SECURED: DENIED, WEB: DENIED, VOTING: DENIED}),
        ((EVERYBODY,), {PLAIN: "everybody", VOTING: "everybody"}),
        ((MESHED,), {PLAIN: NEEDS_TLS, SECURED: "meshed", WEB: "meshed"}),
        ((SOMEBODY,), {PLAIN: NEEDS_TLS, SECURED: NEEDS_IDENTITY, WEB: "somebody"}),
        ((ONE,), {SECURED: NEEDS_IDENTITY, WEB: "one", VOTING: NOT_AUTHORIZED}),
        ((ENDING,), {WEB: "ending", VOTING: "ending"}),
        ((ONE, MESHED), {PLAIN: NOT_AUTHORIZED, SECURED: "meshed", WEB: "one", VOTING: "meshed"}),
    ],
)
def test_the_first_authorization_that_means_a_client_lets_it_in(
    authorizations: tuple[Authorization, ...], expected: dict[Client, str]
) -> None:
    policy = ServerPolicy(SERVER, authorizations=authorizations)
    for client, wanted in expected.items():
        found = judge(policy, client, HERE)
        assert said(found.otherwise) == wanted
        assert found.opaque == (found.otherwise.refusal is None)
        assert not found.differs


def said(outcome: Outcome) -> str:
    """By what it is let in, or why it is not."""
    if outcome.refusal is not None:
        return outcome.refusal.text
    assert outcome.authorization is not None
    return outcome.authorization.name


READY = Match(paths=Paths.WHOLE, path="/ready")
LAST = Match()


def routed(*routes: tuple[str, Match, Authorization | None]) -> ServerPolicy:
    """A server that lets in one client, with routes that add others."""
    return ServerPolicy(
        SERVER,
        authorizations=(ONE,),
        routes=tuple(Route(ref(name), (by,) if by else ()) for name, _, by in routes),
        order=RouteOrder(Step(match, number) for number, (_, match, _) in enumerate(routes)),
    )


def test_a_route_adds_those_whom_it_names() -> None:
    policy = routed(("a", READY, EVERYBODY), ("b", LAST, MESHED), ("c", LAST, None))
    found = judge(policy, PLAIN, HERE)
    assert [said(one) for one in found.outcomes] == ["everybody", NOT_AUTHORIZED, NEEDS_TLS]
    assert (found.opaque, found.differs) == (False, True)
    assert [said(one) for one in judge(policy, VOTING, HERE).outcomes][:2] == [
        "everybody",
        "meshed",
    ]


def test_whom_the_server_lets_in_goes_wherever_a_route_leads() -> None:
    found = judge(routed(("a", READY, EVERYBODY), ("b", READY, None)), WEB, HERE)
    assert [said(one) for one in found.outcomes] == ["one", "one"]
    assert found.opaque
    assert (said(found.otherwise), found.differs) == (NO_ROUTE, True)


def test_requests_without_a_route_are_not_found_whoever_asks() -> None:
    for client in (PLAIN, WEB):
        found = judge(routed(("a", READY, EVERYBODY)), client, HERE).otherwise
        assert found.refusal is not None
        assert (found.refusal.text, found.refusal.status) == (NO_ROUTE, 404)


def test_localhost_needs_no_authorization_but_a_route() -> None:
    here = Address("127.0.0.1", 1)
    policy = routed(("a", READY, None))
    found = judge(policy, PLAIN, here)
    assert (found.opaque, said(found.outcomes[0]), said(found.otherwise)) == (
        True,
        "localhost",
        NO_ROUTE,
    )
    invalid = judge(policy._replace(invalid=True), PLAIN, here)
    assert not invalid.opaque
    assert invalid.outcomes[0].refusal is not None
    assert invalid.outcomes[0].refusal.status == 500


def test_what_is_open_to_everybody_stays_so() -> None:
    for policy in (INVALID, routed(("a", READY, ONE)), ServerPolicy(SERVER)):
        found = judge(policy.opened(["/live", "/ready"]), PLAIN, HERE)
        assert said(found.outcomes[0]) == "probe"
        assert found.outcomes[1].refusal is not None
        assert found.order.numbers[:2] == (0, 0)


@pytest.mark.parametrize(
    ("tls", "identity"), [(False, False), (False, True), (True, False), (True, True)]
)
def test_a_port_may_ask_for_more_than_the_server_says(tls: bool, identity: bool) -> None:
    policy = routed(("probe", READY, EVERYBODY), ("rest", LAST, None))
    policy = policy._replace(authorizations=(EVERYBODY,))
    found = judge(policy.stricter(tls=tls, identity=identity), PLAIN, HERE)
    wanted = NEEDS_TLS if tls else NEEDS_IDENTITY if identity else "everybody"
    # What is meant for those who have less stays open to them.
    assert [said(one) for one in found.outcomes] == ["everybody", wanted]


@pytest.mark.parametrize(
    ("client", "by"), [(WEB, "one"), (VOTING, NOT_AUTHORIZED), (PLAIN, NEEDS_TLS)]
)
def test_where_pods_are_on_loopback_localhost_is_judged_as_others_are(
    client: Client, by: str
) -> None:
    policy = ServerPolicy(SERVER, authorizations=(ONE,))
    found = judge(policy, client, Address("127.0.0.1", 1), judges_localhost=True).otherwise
    assert (found.refusal.text if found.refusal else found.authorization) == (
        ref(by) if by == "one" else by
    )
