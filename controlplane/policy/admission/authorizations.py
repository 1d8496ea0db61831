"""Rules of what says who may call whom, and of networks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from linkerd2_py.controlplane.mesh.routes import EXTENSION, GATEWAY, POLICY
from linkerd2_py.controlplane.mesh.tokens import TOKENS_GROUP
from linkerd2_py.controlplane.policy.admission.fields import (
    Asked,
    Field,
    RefusedError,
    kind_of,
    spelled,
)
from linkerd2_py.controlplane.policy.admission.notations import cidr_of, identity_problem
from linkerd2_py.controlplane.policy.concurrency import AnnotationError, concurrency_limit
from linkerd2_py.controlplane.policy.inbound.defaults import DEFAULT_POLICIES

_SERVER: Final = (POLICY, "server")
_ACCOUNT: Final = ("core", "serviceaccount")
_NAMESPACE: Final = ("core", "namespace")
_NETWORK: Final = (POLICY, "networkauthentication")
_TOKEN: Final = (TOKENS_GROUP, "jwtauthentication")
_EXTERNAL: Final = (EXTENSION, "externalauthorization")
_PROOFS: Final = frozenset({(POLICY, "meshtlsauthentication"), _ACCOUNT})
_TARGETS: Final = frozenset(
    {
        _SERVER,
        _NAMESPACE,
        (POLICY, "httproute"),
        (GATEWAY, "httproute"),
        (GATEWAY, "grpcroute"),
    }
)
_PROTOCOLS: Final = ("unknown", "HTTP/1", "HTTP/2", "gRPC", "opaque", "TLS")
_MOST_REQUESTS: Final = (1 << 32) - 1


def check_server(asked: Asked) -> None:
    """A port, and words that are known."""
    spec = asked.spec
    port = spec["port"]
    if not isinstance(port.value, str):
        port.number(1, 65535)
    elif not port.value:
        port.refuse("must be the number or the name of a port")
    _check_one_of(spec["proxyProtocol"], _PROTOCOLS)
    _check_one_of(spec["accessPolicy"], DEFAULT_POLICIES)
    _check_concurrency(asked)


def check_server_authorization(asked: Asked) -> None:
    """Clients that prove nothing do not prove something."""
    spec = asked.spec
    client = spec["client"]
    tls = client["meshTLS"]
    if tls.is_said and client["unauthenticated"].is_true():
        client["unauthenticated"].refuse("must not be true where meshTLS is said")
    named = [*tls["identities"], *tls["serviceAccounts"]]
    if tls["unauthenticatedTLS"].is_true() and named:
        tls["unauthenticatedTLS"].refuse("must not be true where clients are named")
    for identity in tls["identities"]:
        identity.check(identity_problem)
    check_networks(client["networks"])


def check_authorization_policy(asked: Asked) -> None:
    """What is called is of the policy's own namespace; a client can pass all that is required."""
    target = asked.spec["targetRef"]
    if kind_of(target) not in _TARGETS:
        target.refuse(f"nobody authorizes calls to a {spelled(target)}")
    if kind_of(target) == _NAMESPACE and target["name"].text() != asked.namespace:
        target["name"].refuse(f"another namespace ({target['name'].text()}) cannot be meant")
    proofs, networks, tokens, asked_of = 0, 0, 0, 0
    for ref in asked.spec["requiredAuthenticationRefs"]:
        kind = kind_of(ref)
        proofs += kind in _PROOFS
        networks += kind == _NETWORK
        tokens += kind == _TOKEN
        asked_of += kind == _EXTERNAL
        if kind not in {*_PROOFS, _NETWORK, _TOKEN, _EXTERNAL}:
            ref.refuse(f"{spelled(ref)} is no authentication")
        if proofs > 1:
            ref.refuse("a second MeshTLSAuthentication or ServiceAccount: nobody is both")
        if networks > 1:
            ref.refuse("a second NetworkAuthentication")
        if tokens > 1:
            ref.refuse("a second JWTAuthentication: a request has one token")
        if asked_of > 1:
            ref.refuse("a second ExternalAuthorization")


def check_meshtls_authentication(asked: Asked) -> None:
    """Names that certificates can have, and accounts."""
    spec = asked.spec
    spec = asked.spec
    for identity in spec["identities"]:
        identity.check(identity_problem)
    for ref in spec["identityRefs"]:
        kind = kind_of(ref)
        if kind not in {_ACCOUNT, _NAMESPACE}:
            ref.refuse(f"a {spelled(ref)} has no identity")
        if kind == _NAMESPACE and ref["namespace"].is_said:
            ref["namespace"].refuse("a Namespace is in no namespace")


def check_network_authentication(asked: Asked) -> None:
    """At least one network."""
    spec = asked.spec
    if not len(spec["networks"]):
        spec["networks"].refuse("at least one network must be named")
    check_networks(spec["networks"])


def check_egress_network(asked: Asked) -> None:
    """At least one network, where any are named."""
    spec = asked.spec
    _check_one_of(spec["trafficPolicy"], ("Allow", "Deny"))
    if spec["networks"].is_said:
        check_network_authentication(asked)


def check_rate_limit_policy(asked: Asked) -> None:
    """Some clients' share is not more than all of it."""
    spec = asked.spec
    if kind_of(spec["targetRef"]) != _SERVER:
        spec["targetRef"].refuse(f"a {spelled(spec['targetRef'])} has no rate limit")
    total = _rate(spec["total"]) or _MOST_REQUESTS
    _check_share(spec["identity"], total=total)
    for override in spec["overrides"]:
        _check_share(override, total=total)
        for ref in override["clientRefs"]:
            if kind_of(ref) != _ACCOUNT:
                ref.refuse(f"a client is known by its ServiceAccount, not by a {spelled(ref)}")


def check_networks(networks: Iterable[Field]) -> None:
    """What is excepted is a part of a network, and not all of it."""
    for network in networks:
        written = network["cidr"]
        cidr = cidr_of(written.text())
        if cidr is None:
            written.refuse(f"{written.text()!r} is no network and no address")
        for excepted in network["except"]:
            part = cidr_of(excepted.text())
            if part is None:
                excepted.refuse(f"{excepted.text()!r} is no network and no address")
            if part.version != cidr.version or not part.subnet_of(cidr):  # type: ignore[arg-type]
                excepted.refuse(f"{part} is no part of {cidr}")
            if part == cidr:
                excepted.refuse(f"nothing is left of {cidr}")


def _check_concurrency(asked: Asked) -> None:
    try:
        concurrency_limit(asked.annotations, namespace=asked.namespace)
    except AnnotationError as error:
        raise RefusedError(f"metadata.annotations.{error}") from error


def _check_share(limit: Field, *, total: int) -> None:
    rate = _rate(limit)
    if rate is not None and rate > total:
        limit["requestsPerSecond"].refuse(f"must not be more than the total, {total}")


def _rate(limit: Field) -> int | None:
    return limit["requestsPerSecond"].number(1, _MOST_REQUESTS)


def _check_one_of(said: Field, words: Iterable[str]) -> None:
    if said.is_said and said.text() not in words:
        said.refuse(f"{said.text()!r} is none of {', '.join(words)}")
