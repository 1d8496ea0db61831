"""Authorizations and rate limits as messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from linkerd2_py.base.names import CLUSTER_SUFFIX
from linkerd2_py.controlplane.mesh.networks import Cidr, Network
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import (
    Clients,
    ConcurrencyLimit,
    ExternalAuthorization,
    HTTPLocalRateLimitPolicy,
    Identities,
)
from linkerd2_py.controlplane.mesh.routes import EXTENSION, POLICY
from linkerd2_py.controlplane.policy.inbound.authorizations import Authorization
from linkerd2_py.controlplane.policy.inbound.token_messages import permit_jwt
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import net_pb2 as net

_LOW_64: Final = (1 << 64) - 1
_ANYBODY: Final = inbound.Authn.PermitUnauthenticated()
_MOST_REQUESTS: Final = (1 << 32) - 1


def labels(kind: str, name: str) -> dict[str, str]:
    """What metrics call it: only what is no default is an object."""
    return {"group": "" if kind == "default" else POLICY, "kind": kind, "name": name}


def authorization_messages(
    found: Iterable[Authorization], *, settings: Settings
) -> list[inbound.Authz]:
    """In their order, which says nothing: any of them lets in."""
    return [
        inbound.Authz(
            networks=_networks(one.clients, settings=settings),
            authentication=_authentication(one.clients, settings=settings),
            labels=labels(one.kind, one.name),
            metadata=_metadata(one),
            external_authorization=_external(one.external) if one.external else None,
        )
        for one in found
    ]


def _external(found: ExternalAuthorization) -> inbound.ExternalAuthorization:
    service = found.service or Key("", "")
    said = inbound.ExternalAuthorization(
        metadata=meta.Metadata(
            resource=meta.Resource(group=EXTENSION, kind="ExternalAuthorization", name=found.name)
        ),
        authority=f"{service.name}.{service.namespace}.{CLUSTER_SUFFIX}:{found.port}",
        fail_open=found.fail_open,
        status_on_error=found.status_on_error,
        context_extensions=dict(found.extensions),
    )
    said.timeout.FromMicroseconds(round(found.timeout_s * 1e6))
    return said


def rate_limit_message(
    found: HTTPLocalRateLimitPolicy, *, settings: Settings
) -> inbound.HttpLocalRateLimit:
    """Accounts by the names in their certificates."""
    override = inbound.HttpLocalRateLimit.Override
    resource = meta.Resource(group=POLICY, kind="HTTPLocalRateLimitPolicy", name=found.name)
    return inbound.HttpLocalRateLimit(
        metadata=meta.Metadata(resource=resource),
        total=_limit(found.total),
        identity=_limit(found.identity),
        overrides=[
            override(
                limit=_limit(one.requests_per_second),
                clients=override.ClientIdentities(
                    identities=[
                        inbound.Identity(name=settings.identity_of(name, namespace=namespace))
                        for namespace, name in one.accounts
                    ]
                ),
            )
            for one in found.overrides
        ],
    )


def concurrency_limit_message(
    found: ConcurrencyLimit, *, settings: Settings
) -> inbound.HttpConcurrencyLimit:
    """The same of requests in flight."""
    return inbound.HttpConcurrencyLimit(
        total=found.total or 0,
        identity=found.identity or 0,
        overrides=[
            inbound.HttpConcurrencyLimit.Override(
                requests=one.requests,
                identities=[
                    inbound.Identity(name=settings.identity_of(name, namespace=namespace))
                    for namespace, name in one.accounts
                ],
            )
            for one in found.overrides
        ],
    )


def _limit(rate: int | None) -> inbound.HttpLocalRateLimit.Limit | None:
    if rate is None:
        return None
    return inbound.HttpLocalRateLimit.Limit(requestsPerSecond=min(rate, _MOST_REQUESTS))


def _metadata(one: Authorization) -> meta.Metadata:
    if one.kind == "default":
        return meta.Metadata(default=one.name)
    return meta.Metadata(resource=meta.Resource(group=POLICY, kind=one.kind, name=one.name))


def _networks(clients: Clients, *, settings: Settings) -> list[inbound.Network]:
    found = clients.networks or tuple(map(Network, settings.cluster.networks))
    return [
        inbound.Network(net=_network(one.cidr), **{"except": map(_network, one.excluded)})
        for one in found
    ]


def _network(cidr: Cidr) -> net.IPNetwork:
    number = int(cidr.network_address)
    if cidr.version == 4:
        address = net.IPAddress(ipv4=number)
    else:
        address = net.IPAddress(ipv6=net.IPv6(first=number >> 64, last=number & _LOW_64))
    return net.IPNetwork(ip=address, prefix_len=cidr.prefixlen)


def _authentication(clients: Clients, *, settings: Settings) -> inbound.Authn:
    mesh_tls = _mesh_tls(clients, settings=settings)
    if clients.tokens is not None:
        return inbound.Authn(jwt=permit_jwt(clients.tokens, mesh_tls=mesh_tls))
    if mesh_tls is not None:
        return inbound.Authn(meshTLS=mesh_tls)
    return inbound.Authn(unauthenticated=_ANYBODY)


def _mesh_tls(clients: Clients, *, settings: Settings) -> inbound.Authn.PermitMeshTLS | None:
    mesh_tls = inbound.Authn.PermitMeshTLS
    if clients.identities is not None:
        return mesh_tls(identities=_identities(clients.identities, settings=settings))
    return mesh_tls(unauthenticated=_ANYBODY) if clients.tls else None


def _identities(
    found: Identities, *, settings: Settings
) -> inbound.Authn.PermitMeshTLS.PermitClientIdentities:
    names = list(_names(found, settings=settings))
    ends = [name for name in names if _is_end(name)]
    return inbound.Authn.PermitMeshTLS.PermitClientIdentities(
        identities=[inbound.Identity(name=name) for name in names if not _is_end(name)],
        suffixes=[inbound.IdentitySuffix(parts=name.split(".")[1:]) for name in ends],
    )


def _names(found: Identities, *, settings: Settings) -> Iterator[str]:
    yield from found.names
    for namespace, account in found.accounts:
        yield settings.identity_of(account, namespace=namespace)
    for namespace in found.namespaces:
        yield settings.identity_of("*", namespace=namespace)


def _is_end(name: str) -> bool:
    return name == "*" or name.startswith("*.")
