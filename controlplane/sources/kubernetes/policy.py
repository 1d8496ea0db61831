"""Kinds of policy.linkerd.io: what is kept of each.

Whom an object authorizes is understood whole or not at all, for half of it could be more than was meant.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final, TypeVar

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.networks import Cidr, Network
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import (
    Authentication,
    AuthenticationKind,
    AuthorizationPolicy,
    Clients,
    ConcurrencyLimit,
    HTTPLocalRateLimitPolicy,
    Identities,
    MeshTLSAuthentication,
    NetworkAuthentication,
    RateOverride,
    Server,
    ServerAuthorization,
    Target,
    TargetKind,
)
from linkerd2_py.controlplane.mesh.routes import CORE, EXTENSION, GATEWAY, POLICY
from linkerd2_py.controlplane.mesh.selector import Requirement, Selector
from linkerd2_py.controlplane.mesh.tokens import TOKENS_GROUP
from linkerd2_py.controlplane.policy.concurrency import AnnotationError, concurrency_limit
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    items,
    key_of,
    labels,
    mapping,
    number,
    seconds,
    text,
    texts,
)
from linkerd2_py.controlplane.sources.kubernetes.routes import read_cidr, read_conditions

logger = logging.getLogger(__name__)

_TARGETS: Final[dict[tuple[str, str], TargetKind]] = {
    (POLICY, "server"): "Server",
    (CORE, "namespace"): "Namespace",
    (POLICY, "httproute"): "HTTPRoute",
    (GATEWAY, "httproute"): "HTTPRoute",
    (GATEWAY, "grpcroute"): "GRPCRoute",
}
_AUTHENTICATIONS: Final[dict[tuple[str, str], AuthenticationKind]] = {
    (POLICY, "meshtlsauthentication"): "MeshTLSAuthentication",
    (POLICY, "networkauthentication"): "NetworkAuthentication",
    (CORE, "serviceaccount"): "ServiceAccount",
    (TOKENS_GROUP, "jwtauthentication"): "JWTAuthentication",
    (EXTENSION, "externalauthorization"): "ExternalAuthorization",
}
_ACCOUNT: Final = (CORE, "serviceaccount")
_NAMESPACE: Final = (CORE, "namespace")

T = TypeVar("T")


def read_server(found: Json) -> Server:
    """A Server of any version that has a proxy protocol."""
    namespace, name = key_of(found)
    spec = mapping(found, "spec")
    return Server(
        namespace,
        name,
        port=number(spec, "port") or text(spec, "port"),
        pods=read_selector(spec, "podSelector"),
        external_workloads=read_selector(spec, "externalWorkloadSelector"),
        proxy_protocol=text(spec, "proxyProtocol") or "unknown",
        access_policy=text(spec, "accessPolicy") or "deny",
        labels=labels(found, "metadata", "labels"),
        created=_created(found),
        concurrency=_concurrency(found, namespace=namespace),
    )


def read_server_authorization(found: Json) -> ServerAuthorization:
    """Of any version."""
    namespace, name = key_of(found)
    server = mapping(found, "spec", "server")
    named = text(server, "name")
    return ServerAuthorization(
        namespace,
        name,
        server=named,
        # A name goes first; where nothing is said, everything is meant.
        selector=None if named else read_selector(server, "selector") or Selector(),
        clients=_clients(mapping(found, "spec", "client"), namespace=namespace),
    )


def read_authorization_policy(found: Json) -> AuthorizationPolicy:
    """What it names is looked up when it is asked for: that may come later."""
    namespace, name = key_of(found)
    return AuthorizationPolicy(
        namespace,
        name,
        target=_target(mapping(found, "spec", "targetRef"), namespace=namespace),
        requires=_all(
            _authentication(one, namespace=namespace)
            for one in items(found, "spec", "requiredAuthenticationRefs")
        ),
    )


def read_meshtls_authentication(found: Json) -> MeshTLSAuthentication:
    """Names, and accounts whose names the mesh makes."""
    namespace, name = key_of(found)
    spec = mapping(found, "spec")
    return MeshTLSAuthentication(namespace, name, _identities(spec, namespace=namespace))


def read_network_authentication(found: Json) -> NetworkAuthentication:
    """Networks and single addresses."""
    namespace, name = key_of(found)
    return NetworkAuthentication(namespace, name, _networks(mapping(found, "spec")) or ())


def read_rate_limit_policy(found: Json) -> HTTPLocalRateLimitPolicy:
    """A limit that is no number is none."""
    namespace, name = key_of(found)
    spec = mapping(found, "spec")
    target = _target(mapping(spec, "targetRef"), namespace=namespace)
    overrides = _all(_override(one, namespace=namespace) for one in items(spec, "overrides"))
    known = target is not None and target.kind == "Server" and overrides is not None
    return HTTPLocalRateLimitPolicy(
        namespace,
        name,
        server=target.name if known and target else "",
        total=_rate(mapping(spec, "total")),
        identity=_rate(mapping(spec, "identity")),
        overrides=overrides or (),
        created=_created(found),
        conditions=read_conditions(mapping(found, "status")),
    )


def _concurrency(found: Json, *, namespace: str) -> ConcurrencyLimit | None:
    """What cannot be read limits nobody; the webhook refuses it, where there is one."""
    try:
        return concurrency_limit(labels(found, "metadata", "annotations"), namespace=namespace)
    except AnnotationError as error:
        logger.warning("server %s: %s", text(found, "metadata", "name"), error)
        return None


def read_selector(found: Json, field: str) -> Selector | None:
    """The selector of this name; None where there is none, for an empty one means everything."""
    if not isinstance(found.get(field), dict):
        return None
    return Selector(
        labels=labels(found, field, "matchLabels"),
        requirements=tuple(
            Requirement(text(one, "key"), text(one, "operator"), frozenset(texts(one, "values")))
            for one in items(found, field, "matchExpressions")
        ),
    )


def _clients(found: Json, *, namespace: str) -> Clients | None:
    networks = _networks(found)
    if networks is None:
        return None
    if found.get("unauthenticated") is True:
        return Clients(networks)
    tls = mapping(found, "meshTLS")
    if tls.get("unauthenticatedTLS") is True:
        return Clients(networks, tls=True)
    accounts = tuple(_key(one, namespace=namespace) for one in items(tls, "serviceAccounts"))
    names = texts(tls, "identities")
    return Clients(networks, Identities(names, accounts)) if names or accounts else None


def _identities(spec: Json, *, namespace: str) -> Identities | None:
    names, accounts, namespaces = texts(spec, "identities"), [], []
    for one in items(spec, "identityRefs"):
        kind = _kind(one)
        if kind == _ACCOUNT:
            accounts.append(_key(one, namespace=namespace))
        elif kind == _NAMESPACE:
            namespaces.append(text(one, "name"))
        else:
            return None
    if not (names or accounts or namespaces):
        return None
    return Identities(names, tuple(accounts), tuple(namespaces))


def _target(found: Json, *, namespace: str) -> Target | None:
    group, kind = _kind(found)
    known = _TARGETS.get((group, kind))
    name = text(found, "name")
    if known == "Namespace":
        return Target(known) if name == namespace else None
    if known == "Server":
        return Target(known, name)
    return Target(known, name, group) if known else None


def _authentication(found: Json, *, namespace: str) -> Authentication | None:
    known = _AUTHENTICATIONS.get(_kind(found))
    return known and Authentication(known, *_key(found, namespace=namespace))


def _override(found: Json, *, namespace: str) -> RateOverride | None:
    rate = _rate(found)
    accounts = _all(
        _key(one, namespace=namespace) if _kind(one) == _ACCOUNT else None
        for one in items(found, "clientRefs")
    )
    return None if rate is None or accounts is None else RateOverride(rate, accounts)


def _rate(found: Json) -> int | None:
    return max(number(found, "requestsPerSecond"), 0) if "requestsPerSecond" in found else None


def _networks(found: Json) -> tuple[Network, ...] | None:
    """None where one cannot be read: without it, or without its exceptions, others would be meant."""
    return _all(_network(one) for one in items(found, "networks"))


def _network(found: Json) -> Network | None:
    cidr = read_cidr(text(found, "cidr"))
    excluded: tuple[Cidr, ...] | None = _all(read_cidr(one) for one in texts(found, "except"))
    return None if cidr is None or excluded is None else Network(cidr, excluded)


def _all(found: Iterator[T | None]) -> tuple[T, ...] | None:
    """All of them, or None where one is."""
    all_of_them = list(found)
    known = tuple(one for one in all_of_them if one is not None)
    return known if len(known) == len(all_of_them) else None


def _kind(found: Json) -> tuple[str, str]:
    """Group and kind, which nobody spells alike."""
    return text(found, "group").lower() or CORE, text(found, "kind").lower()


def _key(found: Json, *, namespace: str) -> Key:
    return Key(text(found, "namespace") or namespace, text(found, "name"))


def _created(found: Json) -> float:
    return seconds(text(found, "metadata", "creationTimestamp"))
