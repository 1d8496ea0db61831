"""What a route says of other tries is no mistake, and a budget is no larger than what was earned."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.exchange.retry import Budget, Retry
from linkerd2_py._ext.exchange.testing import budgeted
from linkerd2_py._ext.exchange.timeouts import Timeouts

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    "mistake",
    [
        {"limit": -1},
        {"limit": 65_536},
        {"timeout_ns": -1},
        {"pause_ns": 2, "longest_pause_ns": 1},
        {"pause_ns": -1},
        {"jitter": 100.1},
        {"jitter": float("nan")},
        {"statuses": [(0, 500)]},
        {"statuses": [(500, 600)]},
        {"statuses": [(504, 502)]},
        {"codes": [17]},
        {"codes": [-1]},
    ],
)
def test_what_cannot_be_meant_is_refused(mistake: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Retry"):
        Retry(**mistake)


@pytest.mark.parametrize(
    "mistake",
    [
        {"ratio": -0.1, "least": 0, "ttl_ns": SECOND},
        {"ratio": 1001, "least": 0, "ttl_ns": SECOND},
        {"ratio": float("nan"), "least": 0, "ttl_ns": SECOND},
        {"ratio": 0.1, "least": 2**31, "ttl_ns": SECOND},
        {"ratio": 0.1, "least": 0, "ttl_ns": SECOND - 1},
        {"ratio": 0.1, "least": 0, "ttl_ns": 61 * SECOND},
    ],
)
def test_a_budget_that_nobody_can_keep_is_refused(mistake: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Budget"):
        Budget(**mistake)


def test_a_body_beyond_what_is_kept_is_not_promised() -> None:
    assert Retry(most_bytes=1 << 30).most_bytes == 65_536


def test_times_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        Timeouts(idle_ns=-1)


def test_a_plan_says_what_it_was_given() -> None:
    timeouts, retry = Timeouts(request_ns=1), Retry()
    plan = Plan(timeouts=timeouts, retry=retry, heeds_headers=True)
    assert (plan.timeouts, plan.retry, plan.heeds_headers) == (timeouts, retry, True)
    assert (Plan().timeouts, Plan().retry, Plan().heeds_headers) == (None, None, False)


@given(
    st.sampled_from([0.0, 0.2, 1.0, 3.5]),
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 3 * SECOND), st.booleans()), max_size=60),
)
def test_a_budget_spends_what_was_earned(
    ratio: float, least: int, steps: list[tuple[int, bool]]
) -> None:
    """Against a list of all that happened: what is older than the time is forgotten, in tenths of it."""
    ttl = 10 * SECOND
    now = 1_000 * SECOND
    times = []
    for pause, earned in steps:
        now += pause
        times.append((now, earned))
    found = budgeted(Budget(ratio=ratio, least=least, ttl_ns=ttl), times)
    earned_at: list[int] = []
    spent_at: list[int] = []
    for (at, earned), could in zip(times, found, strict=True):
        oldest = at // (ttl // 10) - 9
        in_time = [
            sum(one // (ttl // 10) >= oldest for one in each) for each in (earned_at, spent_at)
        ]
        if earned:
            earned_at.append(at)
        else:
            assert could is (in_time[1] + 1 <= ratio * in_time[0] + least * 10)
            if could:
                spent_at.append(at)
