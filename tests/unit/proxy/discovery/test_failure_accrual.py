"""Failure accrual as policy says it: what is read, what is off, what nobody accepts, and what the log says."""

import logging
from typing import Any

import pytest

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.discovery.failure_accrual import (
    Backoff,
    FailureAccrual,
    failure_accrual,
    log_breaker,
)
from tests.support.route_rig import Rig

BACKOFF = {"min_backoff": {"seconds": 1}, "max_backoff": {"seconds": 60}, "jitter_ratio": 0.5}


def read(**said: Any) -> FailureAccrual | None:
    made = outbound.ProxyProtocol.Http1(failure_accrual=outbound.FailureAccrual(**said))
    return failure_accrual(made)


def consecutive(**said: Any) -> dict[str, Any]:
    return {"consecutive_failures": {"max_failures": 7, "backoff": BACKOFF, **said}}


def unified(**said: Any) -> dict[str, Any]:
    return {"unified": {"success_rate_threshold": 0.8, "backoff": BACKOFF, **said}}


def backoff(**said: Any) -> dict[str, Any]:
    return consecutive(backoff={**BACKOFF, **said})


def test_failures_in_a_row() -> None:
    found = read(**consecutive())
    assert found == FailureAccrual(Backoff(1.0, 60.0, 0.5), max_failures=7)
    agreed = found.agreed()
    assert (agreed.max_failures, agreed.threshold, agreed.strict) == (7, 0, False)
    assert (agreed.min_backoff_ns, agreed.max_backoff_ns, agreed.jitter) == (10**9, 60 * 10**9, 0.5)


def test_a_row_and_a_share_of_successes() -> None:
    found = read(
        **unified(
            decay={"seconds": 30},
            min_requests=20,
            max_consecutive_failures=3,
            backoff={**BACKOFF, "respect_retry_after_hint": True},
        ),
        ejection={"min_ready_endpoints": 2},
    )
    waits = Backoff(1.0, 60.0, 0.5, heeds_hold=True)
    assert found == FailureAccrual(waits, 3, 8000, 30.0, 20, strict=True, min_ready=2)
    agreed = found.agreed()
    assert (agreed.threshold, agreed.window_ns, agreed.min_requests) == (8000, 30 * 10**9, 20)
    assert (agreed.heeds_hold, agreed.min_ready) == (True, 2)


def test_what_is_not_said_of_a_share() -> None:
    found = read(**unified())
    assert found is not None
    assert (found.window_s, found.min_requests, found.max_failures) == (10.0, 0, 0)


@pytest.mark.parametrize(
    "said",
    [consecutive(max_failures=0), unified(success_rate_threshold=0.00004, decay={"nanos": 1})],
)
def test_what_is_off(said: dict[str, Any]) -> None:
    assert read(**said) is None


def test_protocols_that_have_none() -> None:
    assert failure_accrual(outbound.ProxyProtocol.Http2()) is None
    assert failure_accrual(outbound.ProxyProtocol.Opaque()) is None


def test_spans_that_no_clock_counts() -> None:
    found = read(**backoff(max_backoff={"seconds": 315_000_000_000}))
    assert found is not None
    assert found.agreed().max_backoff_ns == 366 * 86_400 * 10**9


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"consecutive_failures": {"max_failures": 7}},
        {"consecutive_failures": {"max_failures": 7, "backoff": {"min_backoff": {}}}},
        backoff(min_backoff={"seconds": 61}),
        backoff(min_backoff={"seconds": -1}),
        backoff(min_backoff={}, max_backoff={}),
        backoff(jitter_ratio=-0.1),
        backoff(jitter_ratio=101),
        backoff(jitter_ratio=float("nan")),
        unified(success_rate_threshold=1.1),
        unified(success_rate_threshold=-0.1),
        unified(success_rate_threshold=float("nan")),
        unified(decay={"nanos": 9_999_999}),
        unified(decay={"seconds": -1}),
        unified(min_requests=1_000_001),
    ],
)
def test_what_nobody_accepts(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(**said)


def test_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(Loop())
    target = rig.table().install(b"web.test:80")
    with caplog.at_level(logging.INFO):
        log_breaker(target, "10.0.0.1:80", "open", 1_300_000_000, 0)
        log_breaker(target, "10.0.0.1:80", "closed", 0, 2)
    name = "web.test:80: endpoint 10.0.0.1:80"
    assert caplog.messages == [
        f"{name} fails too much, and is left alone for 1.3 s",
        f"{name} is well again (2 more since the last line)",
    ]
    assert [one.levelname for one in caplog.records] == ["WARNING", "INFO"]
    rig.close()
