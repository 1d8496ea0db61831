"""How long requests of a rule may take and when they are sent again, as the wire says it."""

from typing import Any

import pytest

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.metrics.routes import RetryMetrics
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.discovery.client_policy import client_policy
from linkerd2_py.proxy.discovery.tries import ONCE, Again, Limits, Tries, tries
from tests.support.policy_stub import RECORDED, recorded_policy

HttpRule = outbound.HttpRoute.Rule
GrpcRule = outbound.GrpcRoute.Rule


def http_retry(**said: Any) -> outbound.HttpRoute.Retry:
    found = outbound.HttpRoute.Retry(**said)
    found.conditions.SetInParent()
    return found


def test_most_rules_say_nothing() -> None:
    assert tries(HttpRule()) == tries(GrpcRule()) == tries(outbound.OpaqueRoute.Rule()) == ONCE
    assert ONCE.limits.made() is None


def test_times() -> None:
    rule = HttpRule()
    rule.timeouts.request.FromMilliseconds(1500)
    rule.timeouts.idle.FromSeconds(3)
    assert tries(rule) == Tries(Limits(request_s=1.5, idle_s=3.0))
    made = Limits(1.5, 0.0, 3.0).made()
    assert made is not None
    assert (made.request_ns, made.response_ns, made.idle_ns) == (1_500_000_000, 0, 3_000_000_000)


def test_the_old_field_counts_where_the_new_one_says_nothing() -> None:
    rule = HttpRule()
    rule.requestTimeout.FromSeconds(2)
    assert tries(rule).limits.request_s == 2.0
    rule.timeouts.request.FromSeconds(1)
    assert tries(rule).limits.request_s == 1.0


def test_http_is_tried_again_by_status() -> None:
    retry = http_retry(max_retries=3, max_request_bytes=1000)
    retry.conditions.status_ranges.add(start=500, end=504)
    retry.timeout.FromMilliseconds(200)
    retry.backoff.min_backoff.FromMilliseconds(25)
    retry.backoff.max_backoff.FromMilliseconds(250)
    retry.backoff.jitter_ratio = 0.5
    rule = HttpRule(retry=retry, allow_l5d_request_headers=True)
    again = Again(((500, 504),), (), 3, 0.2, 1000, 0.025, 0.25, 0.5)
    assert tries(rule) == Tries(Limits(), again, heeds_headers=True)
    made = again.made(metrics=RetryMetrics(Registry(), (("route", "r"),)))
    assert (made.limit, made.timeout_ns, made.most_bytes) == (3, 200_000_000, 1000)
    assert (made.pause_ns, made.longest_pause_ns, made.jitter) == (25_000_000, 250_000_000, 0.5)


def test_grpc_is_tried_again_by_code() -> None:
    retry = outbound.GrpcRoute.Retry(max_retries=1)
    retry.conditions.unavailable = retry.conditions.deadine_exceeded = True
    again = tries(GrpcRule(retry=retry)).again
    assert again is not None
    assert (again.statuses, again.codes) == ((), (4, 14))


def test_a_time_without_end_is_seven_weeks() -> None:
    rule = HttpRule()
    rule.timeouts.request.seconds = 315_576_000_000
    made = tries(rule).limits.made()
    assert made is not None
    assert made.request_ns == 2**52


def backoff(least_s: int, most_s: int, jitter: float) -> outbound.HttpRoute.Retry:
    found = http_retry()
    found.backoff.min_backoff.FromSeconds(least_s)
    found.backoff.max_backoff.FromSeconds(most_s)
    found.backoff.jitter_ratio = jitter
    return found


def statuses(first: int, last: int) -> outbound.HttpRoute.Retry:
    found = http_retry()
    found.conditions.status_ranges.add(start=first, end=last)
    return found


@pytest.mark.parametrize(
    "retry",
    [
        outbound.HttpRoute.Retry(max_retries=1),
        http_retry(max_retries=65_536),
        statuses(0, 500),
        statuses(500, 600),
        statuses(504, 503),
        backoff(2, 1, 0.0),
        backoff(1, 2, -0.1),
        backoff(1, 2, 101.0),
        backoff(-1, 2, 0.0),
    ],
)
def test_what_linkerd_refuses_is_refused(retry: outbound.HttpRoute.Retry) -> None:
    with pytest.raises(ValueError, match=r"."):
        tries(HttpRule(retry=retry))


def test_a_negative_time_is_none() -> None:
    rule = HttpRule()
    rule.timeouts.response.seconds = -1
    with pytest.raises(ValueError, match="negative"):
        tries(rule)


@pytest.mark.skipif(
    not RECORDED.is_dir(), reason="no recordings of Linkerd's policy controller here"
)
def test_what_linkerds_controller_says_is_kept() -> None:
    found = client_policy(recorded_policy("outbound-routed")).routes
    assert found is not None
    asked = {rule.tries for rule in found.routes.rules} - {ONCE}
    assert any(one.again is not None and one.again.statuses for one in asked)
    assert any(one.limits != Limits() for one in asked)
