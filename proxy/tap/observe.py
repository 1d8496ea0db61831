"""Tap.Observe: who may call it, what is wrong with a call, and what the engine is told of a good one."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from linkerd2_py._ext.route.call import Call
from linkerd2_py._ext.tap.match import Matcher
from linkerd2_py._ext.tap.taps import Taps
from linkerd2_py.base.tap import MAX_RPS_FIELD, OBSERVE

logger = logging.getLogger(__name__)

INVALID_ARGUMENT: Final = 3
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
UNAUTHENTICATED: Final = 16

MAX_RPS: Final = 1000.0
"""Of one tap, whatever it asks for."""

Fields = Iterable[tuple[bytes, bytes]]


class _RefusedError(ValueError):
    """The text says what is wrong with the request."""


class _Wanted(NamedTuple):
    """What one call wants to see."""

    matcher: Matcher
    limit: int
    max_rps: float
    fields: bool


class Observe:
    """Answers calls. Only `client` may: whoever has proven that identity."""

    def __init__(self, taps: Taps, *, client: str) -> None:
        self._taps = taps
        self._client = client

    def on_call(self, call: Call, path: bytes, headers: Fields, request: bytes) -> None:
        """Take the call, or finish it with what is wrong."""
        if call.identity != self._client:
            logger.warning(
                "%s may not tap this proxy: it is %s", call.peer, call.identity or "nobody"
            )
            return call.finish(UNAUTHENTICATED, _refusal(call))
        if path != OBSERVE.encode():
            return call.finish(UNIMPLEMENTED, "only Tap.Observe is served here")
        try:
            wanted = _read(request, max_rps=_max_rps(headers))
        except ValueError as error:
            return call.finish(INVALID_ARGUMENT, str(error))
        taken = self._taps.observe(
            call,
            wanted.matcher,
            limit=wanted.limit,
            max_rps=wanted.max_rps,
            fields=wanted.fields,
        )
        if not taken:
            call.finish(RESOURCE_EXHAUSTED, "Too many active taps")
        return None


def _refusal(call: Call) -> str:
    if call.identity is None:
        return "Unauthorized client: tap is for one identity only, which is to be proven by a certificate"
    return "Unauthorized client: another identity may tap this proxy"


def _max_rps(headers: Fields) -> float:
    given = next((value for name, value in headers if name == MAX_RPS_FIELD.encode()), None)
    if given is None:
        return MAX_RPS
    try:
        found = float(given)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise _RefusedError(f"{MAX_RPS_FIELD} must be a number above 0")
    return min(found, MAX_RPS)


def _read(request: bytes, *, max_rps: float) -> _Wanted:
    """ValueError says what is wrong."""
    # Few proxies are ever tapped: what reads the request is loaded with the first one.
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    from linkerd2_py.proto.gen.tap_pb2 import ObserveRequest  # noqa: PLC0415
    from linkerd2_py.proxy.tap.conditions import tree_of  # noqa: PLC0415

    try:
        asked = ObserveRequest.FromString(request)
    except DecodeError as error:
        raise _RefusedError("the request is no ObserveRequest") from error
    if asked.limit == 0:
        raise _RefusedError("limit must be positive")
    fields = asked.extract.http.WhichOneof("extract") == "headers"
    return _Wanted(Matcher(tree_of(asked.match)), asked.limit, max_rps, fields)
