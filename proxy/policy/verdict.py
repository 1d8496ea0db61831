"""Whether a client is let in to a port: by the server's authorizations, and where those refuse it, to the
routes whose own authorizations let it in. A route only adds to who is let in.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.client import Client
from linkerd2_py.proxy.policy.external import External
from linkerd2_py.proxy.policy.order import RouteOrder
from linkerd2_py.proxy.policy.server import (
    Authorization,
    ConcurrencyLimit,
    RateLimit,
    Reference,
    Route,
    ServerPolicy,
    default,
)

_LOCALHOST: Final = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
LOCALHOST: Final = default("localhost")
_AT_HOME: Final = Authorization(LOCALHOST)
NOTHING: Final = default("")
"""The route of requests that have none."""

# They stand in l5d-proxy-error and grpc-message.
DENIED: Final = "inbound policy denies all clients"
NEEDS_TLS: Final = "inbound policy requires TLS between proxies"
NEEDS_IDENTITY: Final = "inbound policy requires a client identity"
NEEDS_CLUSTER: Final = "inbound policy requires a client in the cluster's networks"
NOT_AUTHORIZED: Final = "inbound policy does not let this client in"
NO_ROUTE: Final = "no route of inbound policy matches"
INVALID_POLICY: Final = "invalid inbound policy"


class Refusal(NamedTuple):
    """Why a client is not let in, and the status that says so; `mistrusts`: its token is no good."""

    text: str
    status: int = 403
    mistrusts: bool = False


class Outcome(NamedTuple):
    """Of the requests of one route: what lets them in, or why they are refused; or what does so where they
    have one of its `tokens`. `external` has to agree to each that is let in.
    """

    route: Reference
    authorization: Reference | None
    refusal: Refusal | None = None
    tokens: tuple[Authorization, ...] = ()
    external: External | None = None


class Verdict(NamedTuple):
    """About one client on one port: what becomes of the requests of each route, in the order of the policy's,
    and of those that are of none. `opaque`: what is no HTTP is let in. `reserved`: fields by which the
    workload is told what tokens say.
    """

    server: Reference
    order: RouteOrder
    outcomes: tuple[Outcome, ...]
    unrouted: Outcome
    opaque: bool
    rate_limit: RateLimit | None
    concurrency_limit: ConcurrencyLimit | None
    reserved: tuple[str, ...] = ()

    @property
    def otherwise(self) -> Outcome:
        """Of requests for which no rule holds."""
        found = self.order.otherwise
        return self.unrouted if found is None else self.outcomes[found.route]

    @property
    def differs(self) -> bool:
        """Whether some requests are refused, or need a token or somebody's word, where others do not."""
        found = {
            (one.refusal is None, one.tokens, one.external)
            for one in (*self.outcomes, self.otherwise)
        }
        return len(found) > 1


def judge(
    policy: ServerPolicy, client: Client, peer: Address | None, *, judges_localhost: bool = False
) -> Verdict:
    """Whether this client may talk to a port for which `policy` holds; from localhost it always may, unless
    that is judged, too. Pure.
    """
    host = "" if peer is None else peer.host
    at_home = host in _LOCALHOST and not judges_localhost
    found = _AT_HOME if at_home else _authorized(policy.authorizations, client, host)
    if policy.invalid:
        found = None

    def outcome(route: Route) -> Outcome:
        by = found
        if by is None or by.external is not None:
            by = _authorized(route.authorizations, client, host, otherwise=by)
        if by is not None:
            return Outcome(route.reference, by.reference, external=by.external)
        if policy.invalid:
            return Outcome(route.reference, None, Refusal(INVALID_POLICY, 500))
        either = (*policy.authorizations, *route.authorizations)
        tokens = tuple(one for one in either if one.token and _lack(one, client, host) is None)
        if tokens:
            return Outcome(route.reference, None, tokens=tokens)
        return Outcome(route.reference, None, Refusal(_reason(either, client, host)))

    return Verdict(
        policy.reference,
        policy.order,
        tuple(map(outcome, policy.routes)),
        unrouted=Outcome(NOTHING, found and found.reference, Refusal(NO_ROUTE, 404)),
        # Nobody is asked about bytes.
        opaque=found is not None and found.external is None,
        rate_limit=policy.rate_limit,
        concurrency_limit=policy.concurrency_limit,
        reserved=_reserved(policy),
    )


def _reserved(policy: ServerPolicy) -> tuple[str, ...]:
    found = (*policy.authorizations, *(one for of in policy.routes for one in of.authorizations))
    names = (field for one in found if one.token for _, field in one.token.told)
    return tuple(dict.fromkeys(names))


def _authorized(
    authorizations: tuple[Authorization, ...],
    client: Client,
    host: str,
    *,
    otherwise: Authorization | None = None,
) -> Authorization | None:
    """The first that lets the client in without anybody's word, else the first that does with it, or
    `otherwise`.
    """
    sufficient = (one for one in authorizations if one.token is None)
    found = [one for one in sufficient if _lack(one, client, host) is None]
    alone = next((one for one in found if one.external is None), None)
    return alone or otherwise or next(iter(found), None)


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
