"""What the policy API says of a port, as values. ValueError for what Linkerd's proxy refuses, too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.proto.gen import grpc_route_pb2 as grpc_route
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proxy.addresses import Network, unmapped
from linkerd2_py.proxy.policy.server import (
    ANYBODY,
    DEFAULT_ROUTE,
    EVERYWHERE,
    Authorization,
    ClientNetwork,
    Identities,
    PathRule,
    Protocol,
    Reference,
    Route,
    ServerPolicy,
    default,
    reference_of,
)

_MAPPED_BITS: Final = 96


def server(message: inbound.Server) -> ServerPolicy:
    """What holds for a port."""
    kind = message.protocol.WhichOneof("kind")
    if kind is None:
        raise ValueError("a server without a protocol")
    detects = kind == "detect"
    return ServerPolicy(
        reference_of(message.labels),
        protocol=Protocol(kind),
        detect_timeout_s=seconds(message.protocol.detect, "timeout") if detects else 0.0,
        authorizations=_authorizations(message.authorizations),
        routes=_routes(message.protocol) or (DEFAULT_ROUTE,),
        rate_limited=_is_rate_limited(message.protocol),
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


def _routes(protocol: inbound.ProxyProtocol) -> tuple[Route, ...]:
    """Of the kind that is set; the others are empty."""
    http = (*protocol.detect.http_routes, *protocol.http1.routes, *protocol.http2.routes)
    return (*map(_http_route, http), *map(_grpc_route, protocol.grpc.routes))


def _is_rate_limited(protocol: inbound.ProxyProtocol) -> bool:
    return any(
        (
            protocol.detect.HasField("http_local_rate_limit"),
            protocol.http1.HasField("local_rate_limit"),
            protocol.http2.HasField("local_rate_limit"),
        )
    )


# ---- authorizations


def _authorizations(messages: Iterable[inbound.Authz]) -> tuple[Authorization, ...]:
    return tuple(map(_authorization, messages))


def _authorization(message: inbound.Authz) -> Authorization:
    if not message.networks:
        raise ValueError("an authorization without networks")
    networks = tuple(map(_client_network, message.networks))
    named = message.HasField("metadata")
    tls, identities = _authentication(message.authentication)
    return Authorization(
        reference(message.metadata) if named else reference_of(message.labels),
        networks=EVERYWHERE if set(EVERYWHERE) <= set(networks) else networks,
        tls=tls,
        identities=identities,
    )


def _authentication(message: inbound.Authn) -> tuple[bool, Identities | None]:
    permit = message.WhichOneof("permit")
    if permit == "unauthenticated":
        return False, None
    clients = message.meshTLS.WhichOneof("clients") if permit else None
    if clients is None:
        raise ValueError("an authorization without an authentication")
    if clients == "unauthenticated":
        return True, None
    named = message.meshTLS.identities
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


def _http_route(message: inbound.HttpRoute) -> Route:
    rules = [rule for one in message.rules for rule in map(http_rule, one.matches or _ALL)]
    return _route(message, rules)


def _grpc_route(message: inbound.GrpcRoute) -> Route:
    rules = [rule for one in message.rules for rule in map(grpc_rule, one.matches or _ALL_RPCS)]
    return _route(message, rules)


def _route(message: inbound.HttpRoute | inbound.GrpcRoute, rules: list[PathRule]) -> Route:
    if not message.rules:
        raise ValueError("a route without rules")
    if message.hosts:
        rules = [rule._replace(conditional=True, anywhere=True) for rule in rules]
    return Route(
        reference(message.metadata),
        authorizations=_authorizations(message.authorizations),
        rules=tuple(rules),
        filtered=any(rule.filters for rule in message.rules),
    )


_ALL: Final = (http_route.HttpRouteMatch(),)
_ALL_RPCS: Final = (grpc_route.GrpcRouteMatch(),)


def http_rule(message: http_route.HttpRouteMatch) -> PathRule:
    """What of a match can be told by method and path."""
    conditions = (*message.headers, *message.query_params)
    if any(one.WhichOneof("value") is None for one in conditions):
        raise ValueError("a match without a value")
    rule = PathRule(method=_method(message.method), conditional=bool(conditions))
    if not message.HasField("path"):
        return rule
    kind = message.path.WhichOneof("kind")
    if kind is None:
        raise ValueError("a path match without a kind")
    if kind == "regex":
        return rule._replace(conditional=True, anywhere=True)
    return rule._replace(path=getattr(message.path, kind) or "/", below=kind == "prefix")


def grpc_rule(message: grpc_route.GrpcRouteMatch) -> PathRule:
    """gRPC's method is a path below that of its service."""
    service, method = message.rpc.service, message.rpc.method
    if any(one.WhichOneof("value") is None for one in message.headers):
        raise ValueError("a match without a value")
    rule = PathRule(conditional=bool(message.headers))
    if service and method:
        return rule._replace(path=f"/{service}/{method}", below=False)
    if service:
        return rule._replace(path=f"/{service}")
    # A method of whatever service.
    return rule._replace(conditional=True, anywhere=True) if method else rule


def _method(message: http_types.HttpMethod) -> str:
    kind = message.WhichOneof("type")
    if kind == "unregistered":
        return message.unregistered
    return "" if kind is None else http_types.HttpMethod.Registered.Name(message.registered)
