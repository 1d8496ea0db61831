"""Annotations of retries, timeouts and breakers: what they say, and what nobody understands."""

from __future__ import annotations

import pytest

from linkerd2_py.controlplane.policy.outbound.annotated import (
    Accrual,
    AnnotationError,
    Penalty,
    Retry,
    SuccessRate,
    Timeouts,
    accrual,
    duration,
    flag,
    grpc_retry,
    http_retry,
    penalty,
    timeouts,
)

MODE = "balancer.linkerd.io/failure-accrual"
ALPHA = "balancer.alpha.linkerd.io"


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("400ms", 400),
        ("10s", 10_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("0", 0),
    ],
)
def test_durations(written: str, ms: int) -> None:
    assert duration(f" {written} ") == ms


@pytest.mark.parametrize(
    "written", ["", "5", "0.5s", "-1s", "10x", "s", "9" * 19 + "d", "1m30s", "٣s"]
)
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(AnnotationError):
        duration(written)


def test_timeouts_of_three_kinds() -> None:
    said = {f"timeout.linkerd.io/{kind}": "1s" for kind in ("request", "response", "idle")}
    assert timeouts(said) == Timeouts(1000, 1000, 1000)
    assert timeouts({}) == Timeouts()


def test_retries_of_http() -> None:
    said = {"retry.linkerd.io/http": "5xx,gateway-error,429,404-410", "retry.linkerd.io/limit": "3"}
    ranges = ((500, 599), (502, 504), (429, 429), (404, 410))
    assert http_retry(said) == Retry(3, None, statuses=ranges)
    assert http_retry({"retry.linkerd.io/timeout": "1s"}) == Retry(1, 1000)
    assert http_retry({"retry.linkerd.io/limit": "0"}) is None


def test_retries_of_grpc() -> None:
    said = {"retry.linkerd.io/grpc": "Cancelled,unavailable", "retry.linkerd.io/timeout": "0"}
    assert grpc_retry(said) == Retry(1, None, codes=("cancelled", "unavailable"))
    assert grpc_retry({}) is None


@pytest.mark.parametrize("written", ["", "6xx", "99", "600", "5xx ", "500-400", "500-", "-5"])
def test_statuses_that_are_none(written: str) -> None:
    with pytest.raises(AnnotationError):
        http_retry({"retry.linkerd.io/http": written})


@pytest.mark.parametrize("limit", ["-1", "65536", "many", "²"])
def test_limits_that_are_none(limit: str) -> None:
    with pytest.raises(AnnotationError):
        grpc_retry({"retry.linkerd.io/limit": limit})


def test_codes_that_are_none() -> None:
    with pytest.raises(AnnotationError):
        grpc_retry({"retry.linkerd.io/grpc": "teapot"})


def test_the_breaker_by_consecutive_failures() -> None:
    assert accrual({}) is None
    assert accrual({MODE: "consecutive"}) == Accrual(7, 1000, 60_000, 0.5)
    said = {
        f"{MODE}-consecutive-max-failures": "3",
        f"{MODE}-consecutive-min-penalty": "2s",
        f"{MODE}-consecutive-max-penalty": "1m",
        f"{MODE}-consecutive-jitter-ratio": "1.5",
        # Of the other mode only.
        f"{ALPHA}/failure-accrual-success-rate-threshold": "7",
    }
    assert accrual({MODE: "consecutive", **said}) == Accrual(3, 2000, 60_000, 1.5)


def test_the_breaker_by_success_rate() -> None:
    said = {
        MODE: "unified",
        f"{ALPHA}/failure-accrual-success-rate-threshold": "0.9",
        f"{ALPHA}/failure-accrual-honor-retry-after": "T",
    }
    rate = SuccessRate(0.9, 10_000, 5)
    assert accrual(said) == Accrual(7, 1000, 60_000, 0.5, rate, honors_retry_after=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (MODE, "true"),
        (f"{MODE}-consecutive-max-failures", "-1"),
        (f"{MODE}-consecutive-min-penalty", "2m"),
        (f"{MODE}-consecutive-max-penalty", "0"),
        (f"{MODE}-consecutive-jitter-ratio", "-1"),
        (f"{MODE}-consecutive-jitter-ratio", "nan"),
        (f"{ALPHA}/failure-accrual-success-rate-threshold", "1.1"),
        (f"{ALPHA}/failure-accrual-success-rate-window", "9ms"),
        (f"{ALPHA}/failure-accrual-success-rate-min-requests", "1000001"),
    ],
)
def test_breakers_that_no_proxy_would_take(name: str, value: str) -> None:
    with pytest.raises(AnnotationError):
        accrual({MODE: "unified", name: value})


def test_a_breaker_stays_whatever_is_said_of_retry_after() -> None:
    found = accrual({MODE: "unified", f"{ALPHA}/failure-accrual-honor-retry-after": "yes"})
    assert found
    assert not found.honors_retry_after


def test_what_is_off_is_not_limited() -> None:
    said = {
        MODE: "unified",
        f"{ALPHA}/failure-accrual-success-rate-threshold": "0",
        f"{ALPHA}/failure-accrual-success-rate-window": "1ms",
    }
    found = accrual(said)
    assert found
    assert found.success_rate == SuccessRate(0, 1, 5)


def test_failures_count_in_the_balancer_where_that_is_said() -> None:
    on = {f"{ALPHA}/penalize-failures": "true"}
    assert penalty({}) is None
    assert penalty(on) == Penalty(5000, 300_000)
    assert penalty({**on, f"{ALPHA}/load-biaser-penalty": "1s"}) == Penalty(1000, 300_000)
    with pytest.raises(AnnotationError):
        penalty({**on, f"{ALPHA}/load-biaser-penalty": "50d"})


def test_flags_are_read_as_go_does() -> None:
    assert flag({"a": " True "}, "a")
    assert not flag({"a": "F"}, "a")
    assert not flag({}, "a")
    with pytest.raises(AnnotationError):
        flag({"a": ""}, "a")
