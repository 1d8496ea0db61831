"""Who is let in to the workload: decided for each connection by what holds for its port, and counted.

Whoever comes from localhost is the workload's own pod and always let in, unless pods are on loopback.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.series import Counter
from linkerd2_py._ext.route.checkpoint import Checkpoint
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py.proxy.filters import NO_FILTERS, Filters
from linkerd2_py.proxy.policy.concurrency import ConcurrencyLimits
from linkerd2_py.proxy.policy.limits import RateLimits
from linkerd2_py.proxy.policy.server import PROBE, Labels, ServerPolicy, default
from linkerd2_py.proxy.policy.verdict import NOTHING, Outcome, Refusal, Verdict, judge

if TYPE_CHECKING:
    from linkerd2_py.proxy.policy.authorizers.authorizers import Authorizers
    from linkerd2_py.proxy.policy.tokens.book import TokenBook

logger = logging.getLogger(__name__)

DOUBTFUL: Final = "the path has dots or slashes in disguise, and could be of another route"
_DOUBTFUL: Final = Outcome(default("default"), None, Refusal(DOUBTFUL))

PERMISSIONS_MAX: Final = 1000
"""Kept at once, each for one client on one port. Clients choose the port, so the number must have an end;
what is forgotten is made again, with the same counters."""

_HELP: Final = {
    "inbound_http_authz_allow_total": "Requests that inbound policy let in.",
    "inbound_http_authz_deny_total": "Requests that inbound policy refused.",
    "inbound_http_route_not_found_total": "Requests that no route of inbound policy matched.",
    "inbound_tcp_authz_allow_total": "Opaque connections that inbound policy let in.",
    "inbound_tcp_authz_deny_total": "Opaque connections that inbound policy refused.",
    "inbound_tcp_authz_terminate_total": (
        "Opaque connections that inbound policy let in, and ended when it had changed."
    ),
}


class InboundPolicies:
    """What the engine asks about each connection to a port of the workload. `policy_of` says what holds for a
    port now; `make_book` is called when one asks for tokens, `make_authorizers` when one names an authorizer.
    """

    def __init__(
        self,
        policy_of: Callable[[int], ServerPolicy],
        *,
        registry: Registry,
        judges_localhost: bool = False,
        make_book: Callable[[], TokenBook] | None = None,
        make_authorizers: Callable[[], Authorizers] | None = None,
    ) -> None:
        self._policy_of = policy_of
        self._make_book = make_book
        self._book: TokenBook | None = None
        self._make_authorizers = make_authorizers
        self._authorizers: Authorizers | None = None
        self._judges_localhost = judges_localhost
        self._registry = registry
        self._limits = RateLimits(registry)
        self._concurrency = ConcurrencyLimits(registry)
        self._permissions: dict[tuple[Verdict, Labels, int], Permission] = {}
        self._open: dict[int, _Open] = {}

    def close(self) -> None:
        """Ask nobody for keys of tokens any more. Idempotent."""
        if self._book is not None:
            self._book.close()

    async def settled(self) -> None:
        """After `close`: until nobody is being asked."""
        if self._book is not None:
            await self._book.settled()

    def open(self, port: int, paths: tuple[str, ...]) -> None:
        """Everybody may GET these there, whatever the policy is."""
        self._open[port] = _Open(paths)

    def permission(self, client: Client, peer: Address | None, port: int) -> Permission:
        """The same object for the same answer to the same client on the same port, while it is remembered."""
        policy = self._policy_of(port)
        if port in self._open:
            policy = self._open[port].added_to(policy)
        verdict = judge(policy, client, peer, judges_localhost=self._judges_localhost)
        # A client's labels are its identity, or why it has none.
        key = verdict, client.labels, port
        found = self._permissions.get(key)
        if found is None:
            if len(self._permissions) >= PERMISSIONS_MAX:
                self._permissions.clear()
            _tell(verdict, client, peer, port)
            found = self._permissions[key] = self._make(verdict, client, port)
        return found

    def _make(self, verdict: Verdict, client: Client, port: int) -> Permission:
        server = (*verdict.server.labels("srv"), ("srv_port", str(port)))
        counted = (("target_port", str(port)), *client.labels, *server)
        limits, concurrent = verdict.rate_limit, verdict.concurrency_limit
        otherwise = verdict.order.otherwise
        # The proxy's own answers do not depend on what tokens say.
        reserved = () if port in self._open else verdict.reserved

        def passage(number: int) -> Passage:
            route, filters = verdict.order.cases[number]
            return self._examined(
                verdict.outcomes[route], counted, server, filters, reserved, client=client
            )

        return Permission(
            otherwise=self._examined(
                verdict.otherwise,
                counted,
                server,
                otherwise.filters if otherwise else NO_FILTERS,
                reserved,
                client=client,
            ),
            rules=verdict.order.rules,
            routes=verdict.order.numbers,
            passage=passage,
            doubtful=self._passage(_DOUBTFUL, counted, server) if verdict.differs else None,
            limits=self._limits.of(limits, client, port, labels=counted) if limits else (),
            seating=(
                self._concurrency.of(concurrent, client, port, labels=counted)
                if concurrent
                else None
            ),
            refuses_opaque=not verdict.opaque,
            server=server,
            connections=self._connections(verdict, counted),
            on_terminated=lambda: self._counter("inbound_tcp_authz_terminate_total", counted).inc(),
        )

    def _examined(
        self,
        outcome: Outcome,
        counted: Labels,
        server: Labels,
        filters: Filters,
        reserved: tuple[str, ...],
        *,
        client: Client,
    ) -> Passage:
        """Where a policy asks for tokens, each request is looked at: for one, and for what only a sound one
        may say to the workload.
        """
        if not outcome.tokens and (outcome.refusal is not None or not reserved):
            return self._passage(outcome, counted, server, filters, client=client)
        book = self._tokens()
        without = outcome._replace(tokens=())
        if not outcome.tokens:
            passage = self._passage(without, counted, server, filters, client=client)
            return Passage(examiner=book.cleaned(passage, reserved=reserved))

        def refuse(refusal: Refusal) -> Passage:
            return self._passage(without._replace(refusal=refusal), counted, server, filters)

        candidates = [
            book.candidate(
                one.token,
                self._passage(
                    without._replace(authorization=one.reference, external=one.external),
                    counted,
                    server,
                    filters,
                    client=client,
                ),
                labels=counted,
            )
            for one in outcome.tokens
            if one.token
        ]
        examiner = book.examiner(candidates, reserved=reserved, refuse=refuse, labels=counted)
        return Passage(examiner=examiner)

    def _tokens(self) -> TokenBook:
        if self._book is None:
            if self._make_book is None:
                raise ValueError("nobody here can look at tokens")
            self._book = self._make_book()
        return self._book

    def _passage(
        self,
        outcome: Outcome,
        counted: Labels,
        server: Labels,
        filters: Filters = NO_FILTERS,
        *,
        client: Client | None = None,
    ) -> Passage:
        """What routes do to requests, they do to those that are let in."""
        refusal = outcome.refusal
        granted = _granted(outcome)
        gate = self._gate(outcome, counted, client)
        requests: Counter | None
        if gate is not None:
            # What becomes of them is known later, and counted then.
            requests = None
        elif outcome.route == NOTHING:
            requests = self._counter("inbound_http_route_not_found_total", counted)
        else:
            result = "deny" if refusal else "allow"
            requests = self._counter(f"inbound_http_authz_{result}_total", (*counted, *granted))
        return Passage(
            refusal=refusal.text if refusal else None,
            status=refusal.status if refusal else 0,
            mistrusts=refusal is not None and refusal.mistrusts,
            instead=None if refusal else filters.refusal(),
            edits=None if refusal else filters.request_edits(),
            gate=gate,
            limited=outcome.route != PROBE,
            labels=(*server, *granted),
            requests=requests,
        )

    def _gate(self, outcome: Outcome, counted: Labels, client: Client | None) -> Checkpoint | None:
        if outcome.refusal is not None or outcome.external is None:
            return None
        if client is None or self._make_authorizers is None:
            raise ValueError("nobody here can ask an authorizer")
        if self._authorizers is None:
            self._authorizers = self._make_authorizers()
        return self._authorizers.gate(
            outcome.external, client, labels=counted, allowed=_granted(outcome)
        )

    def _connections(self, verdict: Verdict, counted: Labels) -> Counter:
        result = "allow" if verdict.opaque else "deny"
        by = verdict.unrouted.authorization
        labels = () if by is None else by.labels("authz")
        return self._counter(f"inbound_tcp_authz_{result}_total", (*counted, *labels))

    def _counter(self, name: str, labels: Labels) -> Counter:
        return self._registry.counter(name, _HELP[name], labels)


class _Open:
    """Paths of a port that are open to everybody."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self._last: tuple[ServerPolicy, ServerPolicy] | None = None

    def added_to(self, policy: ServerPolicy) -> ServerPolicy:
        """The same object for the same policy: it is asked for each request."""
        if self._last is None or self._last[0] is not policy:
            self._last = policy, policy.opened(self._paths)
        return self._last[1]


def _granted(outcome: Outcome) -> Labels:
    by = outcome.authorization
    return (*outcome.route.labels("route"), *(() if by is None else by.labels("authz")))


def _tell(verdict: Verdict, client: Client, peer: Address | None, port: int) -> None:
    """Once for each client on each port, while it is remembered."""
    who = client.identity or ("somebody" if peer is None else peer.host)
    for by in dict.fromkeys(one.authorization for one in verdict.outcomes):
        if by is not None and by.is_audit:
            logger.info("port %d: %s is let in by %s only", port, who, by)
    for one in verdict.outcomes:
        if one.refusal is not None:
            where = f" at {one.route}" if verdict.differs else ""
            logger.info("port %d: %s gets %s%s", port, who, one.refusal.text, where)
            return
