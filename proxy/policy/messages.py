"""What the policy API says of a port, as values. ValueError for what Linkerd's proxy refuses, too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proxy.addresses import Network, unmapped
from linkerd2_py.proxy.filters import NO_FILTERS, Filters, filters_of
from linkerd2_py.proxy.matches import steps_of
from linkerd2_py.proxy.policy.external import external
from linkerd2_py.proxy.policy.order import RouteOrder
from linkerd2_py.proxy.policy.server import (
    ANYBODY,
    EVERYWHERE,
    Authorization,
    ClientNetwork,
    ConcurrencyLimit,
    Identities,
    Override,
    Protocol,
    RateLimit,
    Reference,
    Route,
    SeatOverride,
    ServerPolicy,
    default,
    reference_of,
)
from linkerd2_py.proxy.policy.token_messages import token_kind

_MAPPED_BITS: Final = 96
_MOST_SEATS: Final = (1 << 31) - 1
_FAILS: Final = "inbound policy lets it fail"


def server(message: inbound.Server) -> ServerPolicy:
    """What holds for a port."""
    kind = message.protocol.WhichOneof("kind")
    if kind is None:
        raise ValueError("a server without a protocol")
    detects = kind == "detect"
    found = ServerPolicy(
        reference_of(message.labels),
        protocol=Protocol(kind),
        detect_timeout_s=seconds(message.protocol.detect, "timeout") if detects else 0.0,
        authorizations=_authorizations(message.authorizations),
        rate_limit=_rate_limit(message.protocol),
        concurrency_limit=_concurrency_limit(message),
    )
    messages = _messages(message.protocol)
    if not messages:
        return found
    routes = [_route(one) for one in messages]
    filters = tuple(one for _, of_rules in routes for one in of_rules)
    filtered = filters if any(one != NO_FILTERS for one in filters) else ()
    return found._replace(
        routes=tuple(route for route, _ in routes), order=RouteOrder(steps_of(messages), filtered)
    )


def reference(message: meta.Metadata) -> Reference:
    """What it was made from."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ValueError("metadata that say nothing")
    if kind == "default":
        return default(message.default)
    return Reference(message.resource.group, message.resource.kind, message.resource.name)


def seconds(message: object, name: str) -> float:
    """A span of time that must be there and must not be negative."""
    if not message.HasField(name):  # type: ignore[attr-defined]
        raise ValueError(f"no {name}")
    span: Duration = getattr(message, name)
    found = span.seconds + span.nanos / 1e9
    if found < 0:
        raise ValueError(f"a negative {name}")
    return found


def _messages(protocol: inbound.ProxyProtocol) -> list[Any]:
    """The routes of the kind that is set; the others are empty."""
    http = (*protocol.detect.http_routes, *protocol.http1.routes, *protocol.http2.routes)
    return [*http, *protocol.grpc.routes]


def _rate_limit(protocol: inbound.ProxyProtocol) -> RateLimit | None:
    for name in ("http_local_rate_limit", "local_rate_limit"):
        for part in (protocol.detect, protocol.http1, protocol.http2):
            if name in part.DESCRIPTOR.fields_by_name and part.HasField(name):
                return rate_limit(getattr(part, name))
    return None


def rate_limit(message: inbound.HttpLocalRateLimit) -> RateLimit:
    """A limit of 0 is none."""
    named = message.HasField("metadata")
    return RateLimit(
        reference(message.metadata) if named else default("default"),
        total=message.total.requestsPerSecond,
        identity=message.identity.requestsPerSecond,
        overrides=tuple(
            Override(
                one.limit.requestsPerSecond,
                frozenset(identity.name for identity in one.clients.identities),
            )
            for one in message.overrides
            if one.limit.requestsPerSecond
        ),
    )


def _concurrency_limit(message: inbound.Server) -> ConcurrencyLimit | None:
    if not message.HasField("concurrency_limit"):
        return None
    said = message.concurrency_limit
    return ConcurrencyLimit(
        min(said.total, _MOST_SEATS),
        min(said.identity, _MOST_SEATS),
        overrides=tuple(
            SeatOverride(
                min(one.requests, _MOST_SEATS), frozenset(client.name for client in one.identities)
            )
            for one in said.overrides
            if one.requests
        ),
    )


# ---- authorizations


def _authorizations(messages: Iterable[inbound.Authz]) -> tuple[Authorization, ...]:
    return tuple(map(_authorization, messages))


def _authorization(message: inbound.Authz) -> Authorization:
    if not message.networks:
        raise ValueError("an authorization without networks")
    networks = tuple(map(_client_network, message.networks))
    named = message.HasField("metadata")
    permit = message.authentication.WhichOneof("permit")
    token = token_kind(message.authentication.jwt) if permit == "jwt" else None
    tls, identities = _authentication(message.authentication)
    return Authorization(
        reference(message.metadata) if named else reference_of(message.labels),
        networks=EVERYWHERE if set(EVERYWHERE) <= set(networks) else networks,
        tls=tls,
        identities=identities,
        token=token,
        external=external(message),
    )


def _authentication(message: inbound.Authn) -> tuple[bool, Identities | None]:
    permit = message.WhichOneof("permit")
    if permit == "unauthenticated":
        return False, None
    if permit == "jwt" and not message.jwt.HasField("mesh_tls"):
        return False, None
    mesh_tls = message.jwt.mesh_tls if permit == "jwt" else message.meshTLS
    clients = mesh_tls.WhichOneof("clients") if permit else None
    if clients is None:
        raise ValueError("an authorization without an authentication")
    if clients == "unauthenticated":
        return True, None
    named = mesh_tls.identities
    names = frozenset(one.name for one in named.identities)
    endings = tuple("".join(f".{part}" for part in one.parts) for one in named.suffixes)
    return True, ANYBODY if "" in endings else Identities(names, endings)


def _client_network(message: inbound.Network) -> ClientNetwork:
    excepts = tuple(map(_network, getattr(message, "except")))
    return ClientNetwork(_network(message.net), excepts)


def _network(message: net.IPNetwork) -> Network:
    kind, bits = message.ip.WhichOneof("ip"), message.prefix_len
    if kind is None:
        raise ValueError("a network without an address")
    packed = packed_ip(message.ip)
    whole = 4 if kind == "ipv4" else 16
    if len(packed) < whole and bits >= _MAPPED_BITS:
        # Clients at addresses like this count as IPv4.
        whole, bits = 4, bits - _MAPPED_BITS
    elif len(packed) < whole:
        packed = message.ip.ipv6.first.to_bytes(8) + message.ip.ipv6.last.to_bytes(8)
    if bits > 8 * whole:
        raise ValueError(f"a network of {bits} bits")
    return Network(packed, bits)


def packed_ip(ip: net.IPAddress) -> bytes:
    """4 or 16 bytes; an IPv4-mapped IPv6 address counts as IPv4."""
    if ip.WhichOneof("ip") == "ipv4":
        return ip.ipv4.to_bytes(4)
    return unmapped(ip.ipv6.first.to_bytes(8) + ip.ipv6.last.to_bytes(8))


# ---- routes


def _route(message: inbound.HttpRoute | inbound.GrpcRoute) -> tuple[Route, list[Filters]]:
    """With the filters of each of its rules."""
    if not message.rules:
        raise ValueError("a route without rules")
    found = [filters_of(rule.filters, forbidden=_FAILS) for rule in message.rules]
    left_out = dict.fromkeys(text for _, texts in found for text in texts)
    route = Route(
        reference(message.metadata),
        authorizations=_authorizations(message.authorizations),
        left_out=tuple(left_out),
    )
    return route, [filters for filters, _ in found]
