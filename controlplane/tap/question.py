"""What proxies are asked, in their own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.proto.gen import http_types_pb2 as http_types
from linkerd2_py.proto.gen.tap_pb2 import ObserveRequest

Match = ObserveRequest.Match

WINDOW_S: Final = 5.0
"""A proxy is asked anew when it has told of as many requests as fall into this."""

_METHODS: Final = frozenset(http_types.HttpMethod.Registered.keys())
_SCHEMES: Final = frozenset(http_types.Scheme.Registered.keys())


class Share(NamedTuple):
    """What one of several proxies may tell: `limit` requests in each `window_s`, `rps` a second."""

    limit: int
    window_s: float
    rps: float


def share_of(max_rps: float, *, proxies: int) -> Share:
    """The same for each of them. Where less than one request is left for a window, the window is longer."""
    rps = max_rps / max(proxies, 1)
    limit = max(1, int(rps * WINDOW_S))
    return Share(limit, limit / rps, rps)


def observe_request(request: TapRequest, *, limit: int) -> bytes:
    """The message, encoded."""
    asked = ObserveRequest(limit=limit, match=Match(all=Match.Seq(matches=[*_conditions(request)])))
    if request.headers:
        asked.extract.http.headers.SetInParent()
    return asked.SerializeToString()


def _conditions(request: TapRequest) -> Iterator[Match]:
    for name, value in _destination(request):
        yield Match(destination_label=Match.Label(key=name, value=value))
    if request.scheme:
        yield Match(http=Match.Http(scheme=_scheme(request.scheme)))
    if request.method:
        yield Match(http=Match.Http(method=_method(request.method)))
    if request.authority:
        exact = Match.Http.StringMatch(exact=request.authority)
        yield Match(http=Match.Http(authority=exact))
    if request.path:
        yield Match(http=Match.Http(path=Match.Http.StringMatch(prefix=request.path)))


def _destination(request: TapRequest) -> Iterator[tuple[str, str]]:
    if request.to_kind is None:
        return
    if request.to_name:
        yield request.to_kind.label, request.to_name
    if request.to_namespace and request.to_kind is not Kind.NAMESPACE:
        yield Kind.NAMESPACE.label, request.to_namespace


def _method(name: str) -> http_types.HttpMethod:
    if name.upper() in _METHODS:
        return http_types.HttpMethod(registered=name.upper())
    return http_types.HttpMethod(unregistered=name)


def _scheme(name: str) -> http_types.Scheme:
    if name.upper() in _SCHEMES:
        return http_types.Scheme(registered=name.upper())
    return http_types.Scheme(unregistered=name)
