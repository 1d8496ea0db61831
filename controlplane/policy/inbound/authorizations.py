"""Who may call a Server or one of its routes: every authorization that is about it, with whom it means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import (
    Authentication,
    AuthorizationPolicy,
    Clients,
    ExternalAuthorization,
    Identities,
    Server,
    Target,
)
from linkerd2_py.controlplane.mesh.tokens import JWTAuthentication
from linkerd2_py.controlplane.policy.inbound.defaults import DEFAULT_POLICIES, EVERYWHERE
from linkerd2_py.controlplane.policy.inbound.reading import Reading

_PROOFS: Final = ("MeshTLSAuthentication", "ServiceAccount")


class Authorization(NamedTuple):
    """What says that `clients` may call: a default policy, or an object of policy.linkerd.io. `external` is
    asked about each of their requests.
    """

    kind: Literal["default", "authorizationpolicy", "serverauthorization"]
    name: str
    clients: Clients
    external: ExternalAuthorization | None = None


def of_default(policy: str) -> tuple[Authorization, ...]:
    """What a default policy authorizes, if anything."""
    clients = DEFAULT_POLICIES.get(policy)
    return (Authorization("default", policy, clients),) if clients else ()


def of_server(server: Server, *, reading: Reading) -> tuple[Authorization, ...]:
    """What the authorizations of a Server say, and its access policy; in the order of their names."""
    found = [*_policies(server.namespace, Target("Server", server.name), reading=reading)]
    found += _policies(server.namespace, Target("Namespace"), reading=reading)
    found += (
        Authorization("serverauthorization", one.name, one.clients)
        for one in reading.server_authorizations(server)
        if one.clients
    )
    return (*sorted(found, key=lambda one: one[:2]), *of_default(server.access_policy))


def of_route(namespace: str, target: Target, *, reading: Reading) -> tuple[Authorization, ...]:
    """What is said of a route alone; it is added to what its Server lets in."""
    return tuple(sorted(_policies(namespace, target, reading=reading), key=lambda one: one[:2]))


def _policies(namespace: str, target: Target, *, reading: Reading) -> Iterator[Authorization]:
    for policy in reading.authorization_policies(namespace, target):
        clients = _clients(policy, reading=reading)
        if clients:
            external = _external(policy, reading=reading)
            yield Authorization("authorizationpolicy", policy.name, clients, external)


def _clients(policy: AuthorizationPolicy, *, reading: Reading) -> Clients | None:
    """Who passes all that is required; None while something required is not there, or cannot be passed
    together with something else.
    """
    if policy.requires is None:
        return None
    networks = [one for one in policy.requires if one.kind == "NetworkAuthentication"]
    tokens = [one for one in policy.requires if one.kind == "JWTAuthentication"]
    asked = [one for one in policy.requires if one.kind == "ExternalAuthorization"]
    proofs = [one for one in policy.requires if one.kind in _PROOFS]
    if any(len(ones) > 1 for ones in (networks, proofs, tokens, asked)):
        return None
    if asked and _external(policy, reading=reading) is None:
        return None
    places = [_networks(one, reading=reading) for one in networks]
    identities = [_identities(one, reading=reading) for one in proofs]
    shown = [_tokens(one, reading=reading) for one in tokens]
    if () in places or None in identities or None in shown:
        return None
    return Clients(
        networks=places[0] if places else EVERYWHERE,
        identities=identities[0] if identities else None,
        tokens=shown[0] if shown else None,
    )


def _tokens(one: Authentication, *, reading: Reading) -> JWTAuthentication | None:
    """None for proxies that do not check tokens, too: nobody is let in there by what they would leave out."""
    found = reading.jwt_authentication(Key(one.namespace, one.name))
    return found if found and found.tokens and reading.tokens else None


def _external(policy: AuthorizationPolicy, *, reading: Reading) -> ExternalAuthorization | None:
    """The one that it names; None where that is not there, cannot be asked, or is not by who wants to know:
    what it would leave out must let nobody in.
    """
    for one in policy.requires or ():
        if one.kind == "ExternalAuthorization":
            found = reading.external_authorization(Key(one.namespace, one.name))
            return found if found and found.service and reading.external else None
    return None


def _networks(one: Authentication, *, reading: Reading) -> tuple[Network, ...]:
    found = reading.network_authentication(Key(one.namespace, one.name))
    return found.networks if found else ()


def _identities(one: Authentication, *, reading: Reading) -> Identities | None:
    key = Key(one.namespace, one.name)
    if one.kind == "ServiceAccount":
        return Identities(accounts=(key,))
    found = reading.meshtls_authentication(key)
    return found.identities if found else None
