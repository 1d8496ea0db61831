"""What annotations of services and routes say of timeouts, retries, breakers and the balancer.

Names, defaults and limits are Linkerd's. What says something that is none of it is an `AnnotationError`: a
service is then treated as if it had said nothing, a route as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

_ACCRUAL: Final = "balancer.linkerd.io/failure-accrual"
_CONSECUTIVE: Final = f"{_ACCRUAL}-consecutive"
_ALPHA: Final = "balancer.alpha.linkerd.io"
_SUCCESS_RATE: Final = f"{_ALPHA}/failure-accrual-success-rate"
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"(\d{1,19})(ms|s|m|h|d)?", re.ASCII)
_LONGEST_MS: Final = 2**63
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_SHORTEST_WINDOW_MS: Final = 10
_MOST_REQUESTS: Final = 1_000_000
_GRPC_CONDITIONS: Final = frozenset(
    {"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"}
)


class AnnotationError(ValueError):
    """An annotation that nobody understands."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In milliseconds; None where there is none."""

    request: int | None = None
    response: int | None = None
    idle: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, for how long each try, and after what: ranges of HTTP statuses or names of gRPC codes."""

    limit: int
    timeout_ms: int | None
    statuses: tuple[tuple[int, int], ...] = ()
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SuccessRate:
    """An endpoint is left alone once less than `threshold` of its requests in `window_ms` succeed."""

    threshold: float
    window_ms: int
    min_requests: int


@dataclass(frozen=True, slots=True)
class Accrual:
    """When an endpoint is left alone for its failures, and for how long."""

    max_failures: int
    min_penalty_ms: int
    max_penalty_ms: int
    jitter: float
    success_rate: SuccessRate | None = None
    honors_retry_after: bool = False


@dataclass(frozen=True, slots=True)
class Penalty:
    """What a failure counts in the balancer."""

    penalty_ms: int
    max_retry_after_ms: int


def timeouts(said: Mapping[str, str]) -> Timeouts:
    """Of requests, of responses once the request was sent, and of streams where nothing moves."""
    return Timeouts(
        request=_optional(said, "timeout.linkerd.io/request", duration),
        response=_optional(said, "timeout.linkerd.io/response", duration),
        idle=_optional(said, "timeout.linkerd.io/idle", duration),
    )


def http_retry(said: Mapping[str, str]) -> Retry | None:
    """Of HTTP requests."""
    return _retry(said, "retry.linkerd.io/http", statuses=_statuses)


def grpc_retry(said: Mapping[str, str]) -> Retry | None:
    """Of gRPC calls."""
    return _retry(said, "retry.linkerd.io/grpc", codes=_codes)


def accrual(said: Mapping[str, str]) -> Accrual | None:
    """The breaker of every endpoint."""
    match said.get(_ACCRUAL):
        case None:
            return None
        case "consecutive":
            return _accrual(said)
        case "unified":
            rate = _success_rate(said)
            return _accrual(said, success_rate=rate, honors_retry_after=_honors_retry_after(said))
        case other:
            raise AnnotationError(f"{_ACCRUAL}: {other} is no mode")


def penalty(said: Mapping[str, str]) -> Penalty | None:
    """Whether failures count in the balancer, and for how much."""
    if not flag(said, f"{_ALPHA}/penalize-failures"):
        return None
    penalty_ms = _optional(said, f"{_ALPHA}/load-biaser-penalty", duration)
    longest_ms = _optional(said, f"{_ALPHA}/load-biaser-max-retry-after", duration)
    found = Penalty(
        5000 if penalty_ms is None else penalty_ms, 300_000 if longest_ms is None else longest_ms
    )
    _ensure(found.penalty_ms < 2**32, "a penalty of at most 49 days")
    return found


def duration(written: str) -> int:
    """`400ms`, `5s`, `2m`, `1h`, `7d`, or 0, in milliseconds."""
    found = _DURATION.fullmatch(written.strip())
    amount, unit = (int(found[1]), found[2]) if found else (1, None)
    if unit is None and amount:
        raise AnnotationError(f"{written!r} is no duration such as 400ms, 5s or 2m")
    result = amount * _UNITS[unit or "s"]
    _ensure(result < _LONGEST_MS, "a duration that is shorter")
    return result


def flag(said: Mapping[str, str], name: str) -> bool:
    """As Go reads booleans; one that is not said is false."""
    written = said.get(name, "false").strip()
    if written not in _TRUE | _FALSE:
        raise AnnotationError(f"{name}: {written!r} is neither true nor false")
    return written in _TRUE


def _accrual(
    said: Mapping[str, str],
    *,
    success_rate: SuccessRate | None = None,
    honors_retry_after: bool = False,
) -> Accrual:
    found = Accrual(
        max_failures=_number(said, f"{_CONSECUTIVE}-max-failures", default=7),
        min_penalty_ms=_duration(said, f"{_CONSECUTIVE}-min-penalty", default_ms=1000),
        max_penalty_ms=_duration(said, f"{_CONSECUTIVE}-max-penalty", default_ms=60_000),
        jitter=_ratio(said, f"{_CONSECUTIVE}-jitter-ratio", default=0.5),
        success_rate=success_rate,
        honors_retry_after=honors_retry_after,
    )
    _ensure(found.min_penalty_ms <= found.max_penalty_ms, "min-penalty at most max-penalty")
    _ensure(found.max_penalty_ms > 0, "max-penalty above 0")
    _ensure(0 <= found.jitter <= 100, "jitter-ratio from 0 to 100")
    return found


def _honors_retry_after(said: Mapping[str, str]) -> bool:
    # What makes no sense here does not take the breaker away.
    try:
        return flag(said, f"{_ALPHA}/failure-accrual-honor-retry-after")
    except AnnotationError:
        return False


def _success_rate(said: Mapping[str, str]) -> SuccessRate:
    found = SuccessRate(
        threshold=_ratio(said, f"{_SUCCESS_RATE}-threshold", default=0.8),
        window_ms=_duration(said, f"{_SUCCESS_RATE}-window", default_ms=10_000),
        min_requests=_number(said, f"{_SUCCESS_RATE}-min-requests", default=5),
    )
    _ensure(0 <= found.threshold <= 1, "success-rate-threshold from 0 to 1")
    _ensure(found.window_ms > 0, "success-rate-window above 0")
    # A proxy takes no policy at all that says otherwise.
    if found.threshold:
        _ensure(found.window_ms >= _SHORTEST_WINDOW_MS, "success-rate-window of 10ms at least")
        _ensure(found.min_requests <= _MOST_REQUESTS, "success-rate-min-requests up to 1000000")
    return found


def _retry(
    said: Mapping[str, str],
    conditions: str,
    *,
    statuses: Callable[[str], tuple[tuple[int, int], ...]] | None = None,
    codes: Callable[[str], tuple[str, ...]] | None = None,
) -> Retry | None:
    limit = _optional(said, "retry.linkerd.io/limit", _small) or None
    timeout = _optional(said, "retry.linkerd.io/timeout", duration) or None
    written = said.get(conditions)
    if limit is None and timeout is None and written is None:
        return None
    return Retry(
        limit=limit or 1,
        timeout_ms=timeout,
        statuses=statuses(written) if statuses and written is not None else (),
        codes=codes(written) if codes and written is not None else (),
    )


def _statuses(written: str) -> tuple[tuple[int, int], ...]:
    return tuple(map(_status_range, written.split(",")))


def _status_range(written: str) -> tuple[int, int]:
    match written.lower():
        case "5xx":
            return 500, 599
        case "gateway-error":
            return 502, 504
    start, dash, end = written.partition("-")
    first, last = _status(start), _status(end if dash else start)
    _ensure(first <= last, "a range of statuses that ends after its begin")
    return first, last


def _status(written: str) -> int:
    found = int(written) if written.isascii() and written.isdecimal() and len(written) < 5 else 0
    _ensure(100 <= found < 600, f"a status, a range of them, 5xx or gateway-error, not {written!r}")
    return found


def _codes(written: str) -> tuple[str, ...]:
    found = tuple(one.lower() for one in written.split(","))
    _ensure(_GRPC_CONDITIONS.issuperset(found), f"one of {', '.join(sorted(_GRPC_CONDITIONS))}")
    return found


def _small(written: str) -> int:
    _ensure(written.isascii() and written.isdecimal() and len(written) < 20, "a whole number")
    _ensure(int(written) < 2**16, "a whole number up to 65535")
    return int(written)


def _number(said: Mapping[str, str], name: str, *, default: int) -> int:
    written = said.get(name, str(default)).strip()
    _ensure(written.isascii() and written.isdecimal() and len(written) < 20, f"{name}: a number")
    _ensure(int(written) < 2**32, f"{name}: a number up to 4294967295")
    return int(written)


def _ratio(said: Mapping[str, str], name: str, *, default: float) -> float:
    try:
        return float(said.get(name, default))
    except ValueError:
        raise AnnotationError(f"{name}: not a number") from None


def _duration(said: Mapping[str, str], name: str, *, default_ms: int) -> int:
    found = _optional(said, name, duration)
    return default_ms if found is None else found


def _optional(said: Mapping[str, str], name: str, read: Callable[[str], T]) -> T | None:
    written = said.get(name)
    return None if written is None else read(written)


def _ensure(holds: bool, wanted: str) -> None:  # noqa: FBT001
    if not holds:
        raise AnnotationError(f"wanted: {wanted}")
