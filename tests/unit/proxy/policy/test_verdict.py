"""Whom servers and routes let in, and how far."""

import itertools

import pytest

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.client import Client
from linkerd2_py.proxy.policy.server import (
    ANYBODY,
    DEFAULT_ROUTE,
    EVERYWHERE,
    Authorization,
    Identities,
    PathRule,
    Reference,
    Route,
    ServerPolicy,
)
from linkerd2_py.proxy.policy.verdict import (
    APART_MAX,
    DENIED,
    NEEDS_IDENTITY,
    NEEDS_TLS,
    NO_ROUTE,
    NOT_AUTHORIZED,
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
        assert (found.refusal.text if found.refusal else found.authorization.name) == wanted  # type: ignore[union-attr]
        assert found.opaque == (found.refusal is None)
        assert found.opened == ()


def opened(*routes: Route, client: Client = PLAIN) -> list[str]:
    """What somebody may ask for whom the server does not let in."""
    found = judge(ServerPolicy(SERVER, authorizations=(ONE,), routes=routes), client, HERE)
    assert found.refusal is not None
    assert found.refusal.status == 403
    assert not found.opaque
    return [f"{one.route.name} {one.rule.method}{one.rule.path}" for one in found.opened]


def add(name: str, *rules: PathRule, by: Authorization | None = EVERYBODY) -> Route:
    return Route(ref(name), () if by is None else (by,), rules)


EXACT, BELOW = PathRule("/ready", below=False), PathRule("/api")


def test_a_route_opens_its_paths_to_those_whom_it_names() -> None:
    assert opened(add("a", EXACT)) == ["a /ready"]
    assert opened(add("a", EXACT, BELOW._replace(method="GET"))) == ["a /ready", "a GET/api"]
    assert opened(add("a", EXACT, by=MESHED)) == []
    assert opened(add("a", EXACT, by=MESHED), client=SECURED) == ["a /ready"]
    assert opened(add("a", EXACT, by=None)) == []


@pytest.mark.parametrize(
    ("other", "stays"),
    [
        # Beginnings, from the shortest on: a whole path goes before them all.
        (PathRule("/"), "exact below"),
        (PathRule("/ready"), "exact below"),
        (PathRule("/api"), "exact"),
        (PathRule("/api/v2"), "exact"),
        (PathRule("/apis"), "exact below"),
        # Whole paths.
        (PathRule("/ready", below=False), "below"),
        (PathRule("/api", below=False), "exact"),
        (PathRule("/api/v2", below=False, method="PUT"), "exact"),
        (PathRule("/elsewhere", below=False), "exact below"),
        # With more conditions, and without a path that says where.
        (PathRule("/elsewhere", below=False, conditional=True), "exact below"),
        (PathRule("/ready", below=False, conditional=True), "below"),
        (PathRule(conditional=True, anywhere=True), ""),
    ],
)
def test_what_another_route_could_claim_is_not_opened(other: PathRule, stays: str) -> None:
    strict = add("strict", other, by=ONE)
    for routes in itertools.permutations((strict, add("exact", EXACT), add("below", BELOW))):
        assert {one.split()[0] for one in opened(*routes)} == set(stays.split())


def test_conditions_that_cannot_be_met_by_method_and_path_open_nothing() -> None:
    assert opened(add("a", EXACT._replace(conditional=True))) == []


def test_whom_the_server_lets_in_goes_wherever_a_route_may_lead() -> None:
    def paths(*routes: Route) -> list[str] | None:
        found = judge(ServerPolicy(SERVER, authorizations=(ONE,), routes=routes), WEB, HERE)
        assert found.opaque
        if found.refusal is None:
            return None
        assert (found.refusal.text, found.refusal.status) == (NO_ROUTE, 404)
        return [one.rule.path for one in found.opened]

    assert paths(add("a", EXACT, by=MESHED), add("b", BELOW, by=None)) == ["/ready", "/api"]
    assert paths(add("a", EXACT._replace(conditional=True))) == ["/ready"]
    assert paths(add("a", EXACT), DEFAULT_ROUTE) is None
    assert paths(add("a", PathRule(conditional=True, anywhere=True))) is None


def test_whole_paths_of_one_route_are_counted_apart_for_whom_the_server_lets_in() -> None:
    def apart(*routes: Route) -> list[str]:
        found = judge(ServerPolicy(SERVER, authorizations=(EVERYBODY,), routes=routes), WEB, HERE)
        assert (found.refusal, found.route.name) == (None, "default")
        assert {one.authorization.name for one in found.opened} <= {"everybody"}
        return [f"{one.route.name} {one.rule.path}" for one in found.opened]

    assert apart(add("probe", EXACT), DEFAULT_ROUTE) == ["probe /ready"]
    assert apart(add("probe", EXACT, BELOW), DEFAULT_ROUTE) == ["probe /ready"]
    assert apart(add("probe", EXACT._replace(conditional=True)), DEFAULT_ROUTE) == []
    assert apart(add("probe", EXACT), add("other", EXACT), DEFAULT_ROUTE) == []
    many = (EXACT._replace(path=f"/{number}") for number in range(APART_MAX + 1))
    assert len(apart(add("many", *many), DEFAULT_ROUTE)) == APART_MAX


def test_localhost_needs_no_authorization_but_a_route() -> None:
    policy = ServerPolicy(SERVER, routes=(add("a", EXACT, by=None),))
    found = judge(policy, PLAIN, Address("127.0.0.1", 1))
    assert found.opaque
    assert [one.authorization.name for one in found.opened] == ["localhost"]
    assert judge(policy._replace(invalid=True), PLAIN, Address("127.0.0.1", 1)).refusal is not None


@pytest.mark.parametrize(
    ("tls", "identity"), [(False, False), (False, True), (True, False), (True, True)]
)
def test_a_port_may_ask_for_more_than_the_server_says(tls: bool, identity: bool) -> None:
    routes = (add("probe", EXACT), add("rest", BELOW, by=None))
    policy = ServerPolicy(SERVER, authorizations=(EVERYBODY,), routes=routes)
    found = policy.stricter(tls=tls, identity=identity)
    wanted = NEEDS_TLS if tls else NEEDS_IDENTITY if identity else NO_ROUTE
    refused = judge(found, PLAIN, HERE)
    assert refused.refusal is not None
    assert refused.refusal.text == wanted
    # What is meant for those who have less stays open to them.
    assert "/ready" in [one.rule.path for one in refused.opened]
