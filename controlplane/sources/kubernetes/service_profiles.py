"""ServiceProfiles of linkerd.io: what is kept of one, or why nothing is."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from typing import Final, TypeVar

from linkerd2_py.base.durations import parse_duration
from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.service_profiles import (
    Override,
    RequestMatch,
    ResponseClass,
    ResponseMatch,
    RetryBudget,
    Route,
    ServiceProfile,
    StatusRange,
)
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    items,
    key_of,
    mapping,
    number,
    text,
)

T = TypeVar("T")
_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(m|k|M|)\Z")
_FACTORS: Final = {"m": Decimal("0.001"), "": Decimal(1), "k": Decimal(1000), "M": Decimal(10**6)}
_LOWEST_STATUS, _HIGHEST_STATUS = 100, 599
# Far deeper than anybody writes, and than anything here could not follow.
_DEEPEST: Final = 32


def read_service_profile(found: Json) -> ServiceProfile:
    """One part of it that makes no sense spoils all of it, as in Linkerd: half of what was meant may be the
    wrong half.
    """
    namespace, name = key_of(found)
    try:
        return ServiceProfile(
            namespace,
            name,
            routes=tuple(_route(one) for one in items(found, "spec", "routes")),
            budget=_budget(found),
            overrides=tuple(_override(one) for one in items(found, "spec", "dstOverrides")),
        )
    except ValueError as error:
        return ServiceProfile(namespace, name, problem=str(error))


def _route(found: Json) -> Route:
    return Route(
        text(found, "name"),
        _request_match(_needed(found, "condition")),
        tuple(_response_class(one) for one in items(found, "responseClasses")),
        is_retryable=found.get("isRetryable") is True,
        timeout_s=_timeout_s(text(found, "timeout")),
    )


def _response_class(found: Json) -> ResponseClass:
    condition = _response_match(_needed(found, "condition"))
    return ResponseClass(condition, is_failure=found.get("isFailure") is True)


def _needed(found: Json, field: str) -> Json:
    if field not in found or not isinstance(found[field], dict):
        raise ValueError(f"a {field} is missing")
    return mapping(found, field)


def _request_match(found: Json, depth: int = 0) -> RequestMatch:
    match = RequestMatch(
        all=_each(found, "all", read=_request_match, depth=depth),
        any=_each(found, "any", read=_request_match, depth=depth),
        inverse=_inverse(found, read=_request_match, depth=depth),
        method=text(found, "method"),
        path=text(found, "pathRegex"),
    )
    if match == RequestMatch():
        raise ValueError("a condition of a route says nothing")
    return match


def _response_match(found: Json, depth: int = 0) -> ResponseMatch:
    match = ResponseMatch(
        all=_each(found, "all", read=_response_match, depth=depth),
        any=_each(found, "any", read=_response_match, depth=depth),
        inverse=_inverse(found, read=_response_match, depth=depth),
        status=_status(found["status"]) if isinstance(found.get("status"), dict) else None,
    )
    if match == ResponseMatch():
        raise ValueError("a condition of a response says nothing")
    return match


def _each(
    found: Json, field: str, *, read: Callable[[Json, int], T], depth: int
) -> tuple[T, ...] | None:
    if not isinstance(found.get(field), list):
        return None
    return tuple(read(one, _deeper(depth)) for one in items(found, field))


def _inverse(found: Json, *, read: Callable[[Json, int], T], depth: int) -> T | None:
    value = found.get("not")
    return read(value, _deeper(depth)) if isinstance(value, dict) else None


def _deeper(depth: int) -> int:
    if depth >= _DEEPEST:
        raise ValueError(f"conditions are nested more than {_DEEPEST} times")
    return depth + 1


def _status(found: Json) -> StatusRange:
    bounds = StatusRange(number(found, "min"), number(found, "max"))
    for bound in bounds:
        if bound and not _LOWEST_STATUS <= bound <= _HIGHEST_STATUS:
            raise ValueError(f"{bound} is not an HTTP status")
    if 0 < bounds.highest < bounds.lowest:
        raise ValueError(f"no HTTP status is from {bounds.lowest} to {bounds.highest}")
    return bounds


def _timeout_s(said: str) -> float:
    """None at all where it makes no sense, as in Linkerd."""
    try:
        return parse_duration(said) if said else 0.0
    except ValueError:
        return 0.0


def _budget(found: Json) -> RetryBudget | None:
    said = mapping(found, "spec").get("retryBudget")
    if not isinstance(said, dict):
        return None
    return RetryBudget(
        ratio=_ratio(said.get("retryRatio")),
        per_second=max(number(said, "minRetriesPerSecond"), 0),
        ttl_s=parse_duration(text(said, "ttl")),
    )


def _ratio(said: object) -> float:
    try:
        return float(said) if isinstance(said, (int, float)) else 0.0
    except OverflowError as error:
        raise ValueError("the ratio of retries is beyond all numbers") from error


def _override(found: Json) -> Override:
    return Override(text(found, "authority"), _weight(found.get("weight")))


def _weight(said: object) -> int:
    """A quantity of Kubernetes, `500m` or `1`, in ten-thousandths."""
    match = _QUANTITY.match(str(said))
    try:
        value = Decimal(match[1]) * _FACTORS[match[2]] if match else None
    except ArithmeticError:
        value = None
    if value is None:
        raise ValueError(f"{said!r} is not a weight")
    return min(int((value * 1000).to_integral_value(ROUND_CEILING)) * 10, 2**32 - 1)
