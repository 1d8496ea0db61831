"""Matches and filters of routes as messages, which both directions send."""

from __future__ import annotations

from typing import Final

from linkerd2_py.controlplane.mesh.routes import (
    Failure,
    GRPCMatch,
    HeaderModifier,
    HTTPMatch,
    PathMatch,
    Redirect,
    Rewrite,
    ValueMatch,
)
from linkerd2_py.proto.gen import grpc_route_pb2 as grpc_route
from linkerd2_py.proto.gen import http_route_pb2 as http_route
from linkerd2_py.proto.gen import http_types_pb2 as http_types

_FOUND: Final = 302
"""What Gateway API says a redirect is."""
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})


class RouteError(ValueError):
    """A route says something that no proxy can do; it is then as if it were not there."""


def http_match(found: HTTPMatch) -> http_route.HttpRouteMatch:
    """Raises `RouteError`."""
    return http_route.HttpRouteMatch(
        path=path_match(found.path) if found.path else None,
        headers=[header_match(one) for one in found.headers],
        query_params=[query_match(one) for one in found.query],
        method=method(found.method) if found.method else None,
    )


def grpc_match(found: GRPCMatch) -> grpc_route.GrpcRouteMatch:
    """Raises `RouteError`."""
    if found.regex:
        raise RouteError("services and methods of gRPC cannot be matched by regular expressions")
    called = grpc_route.GrpcRpcMatch(service=found.service, method=found.method)
    return grpc_route.GrpcRouteMatch(
        rpc=called if found.has_method else None,
        headers=[header_match(one) for one in found.headers],
    )


def path_match(found: PathMatch) -> http_route.PathMatch:
    """Raises `RouteError` for a path that no request can have."""
    if found.kind == "RegularExpression":
        return http_route.PathMatch(regex=found.value)
    if not found.value.startswith("/"):
        raise RouteError(f"paths begin with /: {found.value!r}")
    if found.kind == "Exact":
        return http_route.PathMatch(exact=found.value)
    if found.kind == "PathPrefix":
        return http_route.PathMatch(prefix=found.value)
    raise RouteError(f"no way to match a path: {found.kind}")


def header_match(found: ValueMatch) -> http_route.HeaderMatch:
    """By its value or a regular expression."""
    if found.regex:
        return http_route.HeaderMatch(name=found.name.lower(), regex=found.value)
    return http_route.HeaderMatch(name=found.name.lower(), exact=found.value.encode())


def query_match(found: ValueMatch) -> http_route.QueryParamMatch:
    """By its value or a regular expression."""
    if found.regex:
        return http_route.QueryParamMatch(name=found.name, regex=found.value)
    return http_route.QueryParamMatch(name=found.name, exact=found.value)


def method(name: str) -> http_types.HttpMethod:
    """A method of HTTP."""
    if name in http_types.HttpMethod.Registered.keys():  # noqa: SIM118  # an enum, not a mapping
        return http_types.HttpMethod(registered=name)
    return http_types.HttpMethod(unregistered=name)


def request_header_modifier(found: HeaderModifier) -> http_route.RequestHeaderModifier:
    """Of requests."""
    return http_route.RequestHeaderModifier(
        add=_headers(found.adds),
        set=_headers(found.sets),
        remove=[name.lower() for name in found.removes],
    )


def response_header_modifier(found: HeaderModifier) -> http_route.ResponseHeaderModifier:
    """Of responses."""
    return http_route.ResponseHeaderModifier(
        add=_headers(found.adds),
        set=_headers(found.sets),
        remove=[name.lower() for name in found.removes],
    )


def redirect(found: Redirect) -> http_route.RequestRedirect:
    """Raises `RouteError` for a path or a status that cannot be one."""
    status = found.status or _FOUND
    if status not in _REDIRECTING:
        raise RouteError(f"no redirect has the status {status}")
    return http_route.RequestRedirect(
        scheme=_scheme(found.scheme) if found.scheme else None,
        host=found.hostname,
        path=_path_modifier(found) if found.path_kind else None,
        port=found.port,
        status=status,
    )


def failing_share(found: Failure) -> http_route.Ratio | None:
    """None for all requests."""
    if found.share >= found.of:
        return None
    return http_route.Ratio(numerator=found.share, denominator=found.of)


def rewrite(found: Rewrite) -> http_route.UrlRewrite:
    """Raises `RouteError` for a path that cannot be one."""
    path = _path_modifier(found) if found.path_kind else None
    return http_route.UrlRewrite(host=found.hostname, path=path)


def hosts(hostnames: tuple[str, ...]) -> list[http_route.HostMatch]:
    """Names, of which `*.` stands for any that end in the rest."""
    return [_host(one) for one in hostnames]


def reverse_labels(hostname: str) -> list[str]:
    """`*.example.com` as com, example; empty for a name that means only itself."""
    return hostname.split(".")[:0:-1] if hostname.startswith("*.") else []


def _host(hostname: str) -> http_route.HostMatch:
    labels = reverse_labels(hostname)
    if labels:
        return http_route.HostMatch(suffix=http_route.HostMatch.Suffix(reverse_labels=labels))
    return http_route.HostMatch(exact=hostname)


def _scheme(name: str) -> http_types.Scheme:
    if name.upper() in http_types.Scheme.Registered.keys():  # noqa: SIM118  # an enum
        return http_types.Scheme(registered=name.upper())
    return http_types.Scheme(unregistered=name)


def _path_modifier(found: Redirect | Rewrite) -> http_route.PathModifier:
    full = found.path_kind == "ReplaceFullPath"
    # Nothing in the place of a prefix is what a slash there is, to which proxies keep.
    path = found.path if full else found.path or "/"
    if not path.startswith("/"):
        raise RouteError(f"a new path begins with /, not {path!r}")
    return http_route.PathModifier(full=path) if full else http_route.PathModifier(prefix=path)


def _headers(found: tuple[tuple[str, str], ...]) -> http_types.Headers:
    header = http_types.Headers.Header
    return http_types.Headers(
        headers=[header(name=name.lower(), value=value.encode()) for name, value in found]
    )
