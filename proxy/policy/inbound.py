"""Who is let in to the workload: decided for each connection by what holds for its port, and counted.

Whoever comes from localhost is the workload's own pod and always let in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.series import Counter
from linkerd2_py._ext.route.client import Client, OpenPath, Permission
from linkerd2_py.proxy.policy.server import Labels, Reference, ServerPolicy
from linkerd2_py.proxy.policy.verdict import Opened, Verdict, judge

logger = logging.getLogger(__name__)

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
    port now.
    """

    def __init__(self, policy_of: Callable[[int], ServerPolicy], *, registry: Registry) -> None:
        self._policy_of = policy_of
        self._registry = registry
        self._permissions: dict[tuple[Verdict, Labels, int], Permission] = {}

    def permission(
        self, client: Client, peer: Address | None, port: int, *, always: tuple[Opened, ...] = ()
    ) -> Permission:
        """The same object for the same answer to the same client on the same port, while it is remembered.
        `always`: what is open to everybody there.
        """
        verdict = judge(self._policy_of(port), client, peer)
        if always:
            verdict = verdict._replace(opened=(*always, *verdict.opened))
        # A client's labels are its identity, or why it has none.
        key = verdict, client.labels, port
        found = self._permissions.get(key)
        if found is None:
            if len(self._permissions) >= PERMISSIONS_MAX:
                self._permissions.clear()
            _tell(verdict, client, peer, port)
            found = self._permissions[key] = self._make(verdict, client.labels, port)
        return found

    def _make(self, verdict: Verdict, client: Labels, port: int) -> Permission:
        refusal = verdict.refusal
        server = (*verdict.server.labels("srv"), ("srv_port", str(port)))
        counted = (("target_port", str(port)), *client, *server)
        return Permission(
            refusal=None if refusal is None else refusal.text,
            status=403 if refusal is None else refusal.status,
            paths=tuple(self._path(one, counted, server) for one in verdict.opened),
            refuses_opaque=not verdict.opaque,
            server=server,
            labels=_granted(verdict.route, verdict.authorization),
            requests=self._requests(verdict, counted),
            connections=self._connections(verdict, counted),
            on_terminated=lambda: self._counter("inbound_tcp_authz_terminate_total", counted).inc(),
        )

    def _requests(self, verdict: Verdict, counted: Labels) -> Counter:
        if verdict.refusal is not None and verdict.authorization is not None:
            return self._counter("inbound_http_route_not_found_total", counted)
        result = "deny" if verdict.authorization is None else "allow"
        granted = _granted(verdict.route, verdict.authorization)
        return self._counter(f"inbound_http_authz_{result}_total", (*counted, *granted))

    def _connections(self, verdict: Verdict, counted: Labels) -> Counter:
        result = "allow" if verdict.opaque else "deny"
        by = () if verdict.authorization is None else verdict.authorization.labels("authz")
        return self._counter(f"inbound_tcp_authz_{result}_total", (*counted, *by))

    def _path(self, opened: Opened, counted: Labels, server: Labels) -> OpenPath:
        granted = _granted(opened.route, opened.authorization)
        rule = opened.rule
        return OpenPath(
            rule.path.encode(),
            method=rule.method.encode() or None,
            below=rule.below,
            requests=self._counter("inbound_http_authz_allow_total", (*counted, *granted)),
            labels=(*server, *granted),
        )

    def _counter(self, name: str, labels: Labels) -> Counter:
        return self._registry.counter(name, _HELP[name], labels)


def _granted(route: Reference, authorization: Reference | None) -> Labels:
    by = () if authorization is None else authorization.labels("authz")
    return (*route.labels("route"), *by)


def _tell(verdict: Verdict, client: Client, peer: Address | None, port: int) -> None:
    """Once for each client on each port, while it is remembered."""
    who = client.identity or ("somebody" if peer is None else peer.host)
    if verdict.authorization is not None and verdict.authorization.is_audit:
        logger.info("port %d: %s is let in by %s only", port, who, verdict.authorization)
    elif verdict.refusal is not None:
        logger.info("port %d: %s gets %s", port, who, verdict.refusal.text)
