"""What a ServiceProfile says of requests, as messages of the destination API."""

from collections.abc import Iterable
from typing import Final

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.controlplane.mesh.service_profiles import (
    Override,
    RequestMatch,
    ResponseClass,
    ResponseMatch,
    RetryBudget,
    Route,
)
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import http_types_pb2 as http_types

DEFAULT_BUDGET: Final = RetryBudget(ratio=0.2, per_second=10, ttl_s=10.0)
"""What Linkerd gives every target of which nobody says anything else."""
_METHODS: Final = frozenset(http_types.HttpMethod.Registered.keys())
# A field whose name is no name in Python.
_NOT: Final = "not"


def budget(said: RetryBudget | None) -> destination.RetryBudget:
    """How many more requests retries may make."""
    ratio, per_second, ttl_s = said or DEFAULT_BUDGET
    return destination.RetryBudget(
        retry_ratio=ratio, min_retries_per_second=per_second, ttl=_duration(ttl_s)
    )


def route(said: Route) -> destination.Route:
    """Requests that belong together."""
    return destination.Route(
        condition=_request_match(said.condition),
        response_classes=[_response_class(one) for one in said.classes],
        metrics_labels={"route": said.name},
        is_retryable=said.is_retryable,
        timeout=_duration(said.timeout_s),
    )


def override(said: Override, *, port: int) -> destination.WeightedDst:
    """Where a part of the requests goes; at the port that was asked for where it names none."""
    host, colon, _ = said.authority.rpartition(":")
    has_port = bool(colon) and (":" not in host or host.startswith("["))
    authority = said.authority if has_port else f"{said.authority}:{port}"
    return destination.WeightedDst(authority=authority, weight=said.weight)


def _duration(seconds: float) -> Duration | None:
    if not seconds:
        return None
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def _request_match(said: RequestMatch) -> destination.RequestMatch:
    match = destination.RequestMatch
    parts = []
    if said.all is not None:
        parts.append(_all_requests(map(_request_match, said.all)))
    if said.any is not None:
        parts.append(match(any=match.Seq(matches=map(_request_match, said.any))))
    if said.method:
        parts.append(match(method=_method(said.method)))
    if said.inverse is not None:
        inverse = match()
        getattr(inverse, _NOT).CopyFrom(_request_match(said.inverse))
        parts.append(inverse)
    if said.path:
        parts.append(match(path=destination.PathMatch(regex=said.path)))
    return parts[0] if len(parts) == 1 else _all_requests(parts)


def _all_requests(parts: Iterable[destination.RequestMatch]) -> destination.RequestMatch:
    match = destination.RequestMatch
    return match(all=match.Seq(matches=parts))


def _method(name: str) -> http_types.HttpMethod:
    name = name.upper()
    if name in _METHODS:
        return http_types.HttpMethod(registered=name)
    return http_types.HttpMethod(unregistered=name)


def _response_class(said: ResponseClass) -> destination.ResponseClass:
    return destination.ResponseClass(
        condition=_response_match(said.condition), is_failure=said.is_failure
    )


def _response_match(said: ResponseMatch) -> destination.ResponseMatch:
    match = destination.ResponseMatch
    parts = []
    if said.all is not None:
        parts.append(_all_responses(map(_response_match, said.all)))
    if said.any is not None:
        parts.append(match(any=match.Seq(matches=map(_response_match, said.any))))
    if said.status is not None:
        lowest, highest = said.status
        bounds = destination.HttpStatusRange(min=lowest, max=highest)
        parts.append(match(status=bounds))
    if said.inverse is not None:
        inverse = match()
        getattr(inverse, _NOT).CopyFrom(_response_match(said.inverse))
        parts.append(inverse)
    return parts[0] if len(parts) == 1 else _all_responses(parts)


def _all_responses(parts: Iterable[destination.ResponseMatch]) -> destination.ResponseMatch:
    match = destination.ResponseMatch
    return match(all=match.Seq(matches=parts))
