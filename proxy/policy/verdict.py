"""Whether a client is let in to a port: by the server's authorizations, and where those refuse it, to the
paths that routes open.

A route only adds to who is let in. Its requests are known by method and path alone, so that somebody whom
only a route lets in gets no further than to paths that no other route could claim: `opened`. What else a
route means (hosts, headers, queries, patterns) never lets anybody in.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.client import Client
from linkerd2_py.proxy.policy.server import (
    Authorization,
    PathRule,
    Reference,
    Route,
    ServerPolicy,
    default,
)

_LOCALHOST: Final = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
LOCALHOST: Final = default("localhost")

# They stand in l5d-proxy-error and grpc-message.
DENIED: Final = "inbound policy denies all clients"
NEEDS_TLS: Final = "inbound policy requires TLS between proxies"
NEEDS_IDENTITY: Final = "inbound policy requires a client identity"
NEEDS_CLUSTER: Final = "inbound policy requires a client in the cluster's networks"
NOT_AUTHORIZED: Final = "inbound policy does not let this client in"
NO_ROUTE: Final = "no route of inbound policy matches"
INVALID_POLICY: Final = "invalid inbound policy"

APART_MAX: Final = 16
"""Each is compared with each request to that port."""


class Refusal(NamedTuple):
    """Why a client is not let in, and the status that says so."""

    text: str
    status: int = 403


class Opened(NamedTuple):
    """What a client may ask for though it is refused, or, where it is not, what is counted apart: by which
    route, and what lets it in.
    """

    rule: PathRule
    route: Reference
    authorization: Reference


class Verdict(NamedTuple):
    """About one client on one port: what let it in (None: nothing of the server's), and why it is refused
    (None: it is not). `opaque`: what is no HTTP is let in.
    """

    server: Reference
    authorization: Reference | None
    refusal: Refusal | None
    route: Reference
    opaque: bool
    opened: tuple[Opened, ...] = ()


def judge(policy: ServerPolicy, client: Client, peer: Address | None) -> Verdict:
    """Whether this client may talk to a port for which `policy` holds. Pure."""
    host = "" if peer is None else peer.host
    route = policy.routes[0].reference if len(policy.routes) == 1 else default("default")
    if policy.invalid:
        return Verdict(policy.reference, None, Refusal(INVALID_POLICY, 500), route, opaque=False)
    found = LOCALHOST if host in _LOCALHOST else _authorized(policy.authorizations, client, host)
    if found is not None:
        if _covers_all(policy.routes):
            opened = tuple(itertools.islice(_apart(policy.routes, found), APART_MAX))
            return Verdict(policy.reference, found, None, route, opaque=True, opened=opened)
        opened = tuple(_all_paths(policy.routes, found))
        refusal = Refusal(NO_ROUTE, 404)
        return Verdict(policy.reference, found, refusal, route, opaque=True, opened=opened)
    opened = tuple(_opened(policy.routes, client, host))
    refusal = Refusal(_reason(policy.authorizations, client, host))
    return Verdict(policy.reference, None, refusal, route, opaque=False, opened=opened)


def _authorized(
    authorizations: tuple[Authorization, ...], client: Client, host: str
) -> Reference | None:
    """The first that lets the client in."""
    return next((one.reference for one in authorizations if _lack(one, client, host) is None), None)


def _lack(one: Authorization, client: Client, host: str) -> str | None:
    """What the client would need for this authorization."""
    if one.tls and not client.secured:
        return NEEDS_TLS
    if one.identities is not None:
        if client.identity is None:
            return NEEDS_IDENTITY
        if not one.identities.contains(client.identity):
            return NOT_AUTHORIZED
    if not one.has(host):
        return NEEDS_CLUSTER if one.reference.kind == "default" else NOT_AUTHORIZED
    return None


def _reason(authorizations: tuple[Authorization, ...], client: Client, host: str) -> str:
    """What it needs, where there is one way only to be let in."""
    if not authorizations:
        return DENIED
    if len(authorizations) > 1:
        return NOT_AUTHORIZED
    return _lack(authorizations[0], client, host) or NOT_AUTHORIZED


# ---- routes


def _covers_all(routes: tuple[Route, ...]) -> bool:
    """Whether every request may have a route."""
    return any(rule.is_for_all for route in routes for rule in route.rules)


def _all_paths(routes: tuple[Route, ...], authorization: Reference) -> Iterator[Opened]:
    """Everything that routes may mean, for somebody whom the server lets in."""
    for route in routes:
        for rule in route.rules:
            yield Opened(rule, route.reference, authorization)


def _apart(routes: tuple[Route, ...], authorization: Reference) -> Iterator[Opened]:
    """Whole paths that one of several routes means beyond doubt: probes above all, which are no traffic."""
    for route in routes if len(routes) > 1 else ():
        others = [rule for other in routes if other is not route for rule in other.rules]
        for rule in route.rules:
            if not rule.below and _is_beyond_doubt(rule, others):
                yield Opened(rule, route.reference, authorization)


def _opened(routes: tuple[Route, ...], client: Client, host: str) -> Iterator[Opened]:
    """What routes mean beyond doubt, for somebody whom only they let in."""
    found = [(route, _authorized(route.authorizations, client, host)) for route in routes]
    others = [rule for route, by in found if by is None for rule in route.rules]
    for route, by in found:
        if by is None:
            continue
        for rule in route.rules:
            if _is_beyond_doubt(rule, others):
                yield Opened(rule, route.reference, by)


def _is_beyond_doubt(rule: PathRule, others: Sequence[PathRule]) -> bool:
    """Whether its path and method alone say that a request belongs to its route."""
    return not rule.conditional and not any(_may_claim(other, rule) for other in others)


def _may_claim(other: PathRule, rule: PathRule) -> bool:
    """Whether a request that `rule` means could belong to the route of `other` rather than to its own: the
    whole path goes before its beginning, and the longer beginning before the shorter.
    """
    if other.anywhere:
        return True
    if not rule.below:
        return not other.below and other.path == rule.path
    return is_below(other.path, rule.path)


def is_below(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies below it, by whole segments."""
    plain = root.removesuffix("/")
    return path.removesuffix("/") == plain or path.startswith(f"{plain}/")
