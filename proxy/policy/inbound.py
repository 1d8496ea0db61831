"""Who is let in to the workload: Linkerd's default policies, decided once for each connection and counted.

A port that requires identity turns an unauthenticated policy into its authenticated one, as Linkerd's
controller does. Whoever comes from localhost is the workload's own pod and always let in.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.series import Counter
from linkerd2_py._ext.route.client import Client, Permission
from linkerd2_py.proxy.addresses import Network, pack_ip, split_zone
from linkerd2_py.proxy.config.types import InboundPolicy

Labels = tuple[tuple[str, str], ...]

PERMISSIONS_MAX: Final = 1000
"""Kept at once, each for one client on one port. Clients choose the port, so the number must have an end;
what is forgotten is made again, with the same counters."""

_LOCALHOST: Final = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})

# They stand in l5d-proxy-error and grpc-message.
DENIED: Final = "inbound policy denies all clients"
NEEDS_TLS: Final = "inbound policy requires TLS between proxies"
NEEDS_IDENTITY: Final = "inbound policy requires a client identity"
NEEDS_CLUSTER: Final = "inbound policy requires a client in the cluster's networks"

_HELP: Final = {
    "inbound_http_authz_allow_total": "Requests that inbound policy let in.",
    "inbound_http_authz_deny_total": "Requests that inbound policy refused.",
    "inbound_tcp_authz_allow_total": "Opaque connections that inbound policy let in.",
    "inbound_tcp_authz_deny_total": "Opaque connections that inbound policy refused.",
}


class Verdict(NamedTuple):
    """The policy of the port, what of it let the client in ("": nothing did), and why it is refused."""

    policy: str
    authorization: str
    refusal: str | None


def judge(policy: InboundPolicy, client: Client, peer: Address | None, port: int) -> Verdict:
    """Whether this client may talk to that port of the workload. Pure."""
    name = policy.default
    if port in policy.require_identity:
        name = name.replace("-unauthenticated", "-authenticated")
    host = "" if peer is None else peer.host
    if host in _LOCALHOST:
        return Verdict(name, "localhost", None)
    if name == "deny":
        refusal = DENIED
    elif port in policy.require_tls and not client.secured:
        refusal = NEEDS_TLS
    elif name.endswith("-authenticated") and client.identity is None:
        refusal = NEEDS_IDENTITY
    elif name.startswith("cluster-") and not _contains(policy.cluster_networks, host):
        refusal = NEEDS_CLUSTER
    else:
        return Verdict(name, name, None)
    return Verdict(name, "", refusal)


class InboundPolicies:
    """What the engine asks about each connection to a port of the workload."""

    def __init__(self, policy: InboundPolicy, *, registry: Registry) -> None:
        self._policy = policy
        self._registry = registry
        self._permissions: dict[tuple[Verdict, Labels, int], Permission] = {}

    def permission(self, client: Client, peer: Address | None, port: int) -> Permission:
        """The same object for the same answer to the same client on the same port, while it is remembered."""
        verdict = judge(self._policy, client, peer, port)
        # A client's labels are its identity, or why it has none.
        key = verdict, client.labels, port
        found = self._permissions.get(key)
        if found is None:
            if len(self._permissions) >= PERMISSIONS_MAX:
                self._permissions.clear()
            found = self._permissions[key] = self._make(verdict, client.labels, port)
        return found

    def _make(self, verdict: Verdict, client: Labels, port: int) -> Permission:
        result = "allow" if verdict.refusal is None else "deny"
        target, number = ("target_port", str(port)), ("srv_port", str(port))
        server = [target, *client, *_named("srv", verdict.policy), number]
        route = _named("route", "default")
        authorization = _named("authz", verdict.authorization) if verdict.authorization else ()
        http = f"inbound_http_authz_{result}_total"
        tcp = f"inbound_tcp_authz_{result}_total"
        return Permission(
            refusal=verdict.refusal,
            requests=self._counter(http, (*server, *route, *authorization)),
            connections=self._counter(tcp, (*server, *authorization)),
        )

    def _counter(self, name: str, labels: Labels) -> Counter:
        return self._registry.counter(name, _HELP[name], labels)


def _contains(networks: tuple[Network, ...], host: str) -> bool:
    packed = pack_ip(split_zone(host)[0])
    return packed is not None and any(network.contains(packed) for network in networks)


def _named(what: str, name: str) -> Labels:
    """A default of Linkerd's, in its labels."""
    return (f"{what}_group", ""), (f"{what}_kind", "default"), (f"{what}_name", name)
