"""A breaker in virtual time: what trips it, how long it is open, and what brings an endpoint back."""

import math
from typing import Any

import pytest

from linkerd2_py._ext.balance import testing as door
from linkerd2_py._ext.balance.accrual import Accrual, Breaker

SECOND = 1_000_000_000


def accrual(**said: Any) -> Accrual:
    return Accrual(**{"min_backoff_ns": SECOND, "max_backoff_ns": 60 * SECOND, **said})


def heard(breaker: Breaker, *verdicts: str, now: int = SECOND) -> list[str]:
    return [door.hear(breaker, verdict, sent=now, now=now) for verdict in verdicts]


def tripped(now: int = SECOND, **said: Any) -> Breaker:
    """Open since then."""
    breaker = door.breaker(accrual(max_failures=1, **said), now=now)
    assert heard(breaker, "failure", now=now) == ["trip"]
    door.open_for(breaker, now=now)
    return breaker


def probed(now: int, **said: Any) -> Breaker:
    """Its probe is under way since then."""
    breaker = tripped(now - SECOND, **said)
    assert door.on_time(breaker, now=now) == "wait"
    door.probe(breaker, now=now)
    return breaker


def test_failures_in_a_row_trip_it_and_anything_else_begins_a_new_row() -> None:
    breaker = door.breaker(accrual(max_failures=3), now=0)
    for other in ("success", "limited"):
        assert heard(breaker, "failure", "failure", other) == ["", "", ""]
    assert heard(breaker, "failure", "nothing", "failure", "failure") == ["", "", "", "trip"]
    assert not door.trips_by_rate(breaker)
    # Nobody could spare it: it asks again at every failure, and no more once it answers.
    assert heard(breaker, "failure", "success", "failure") == ["trip", "", ""]


def test_failures_of_any_number_may_be_off() -> None:
    breaker = door.breaker(accrual(threshold=1, min_requests=1000), now=0)
    assert heard(breaker, *["failure"] * 100) == [""] * 100


def test_a_share_of_successes_below_the_threshold_trips_it_and_the_threshold_itself_does_not() -> (
    None
):
    breaker = door.breaker(accrual(threshold=8000, min_requests=5), now=0)
    assert heard(breaker, "limited", *["success"] * 4) == [""] * 5
    assert heard(breaker, "failure") == ["trip"]
    assert door.trips_by_rate(breaker)


def test_a_share_says_nothing_before_there_are_enough_requests() -> None:
    breaker = door.breaker(accrual(threshold=10_000, min_requests=3), now=0)
    assert heard(breaker, "failure", "failure", "nothing", "failure") == ["", "", "", "trip"]
    none = door.breaker(accrual(threshold=10_000), now=0)
    assert heard(none, "success", "failure") == ["", "trip"]


def test_what_is_older_than_the_window_is_forgotten_a_tenth_at_a_time() -> None:
    breaker = door.breaker(accrual(threshold=5000, window_ns=10 * SECOND, min_requests=2), now=0)
    assert heard(breaker, "failure", now=0) == [""]
    assert heard(breaker, "success", now=9 * SECOND) == [""]
    # The first failure still counts: two of three.
    assert heard(breaker, "failure", now=10 * SECOND - 1) == ["trip"]
    # Not any more: one of two.
    assert heard(breaker, "nothing", now=10 * SECOND) == [""]
    assert heard(breaker, "success", now=10 * SECOND) == [""]
    assert heard(breaker, "failure", now=1000 * SECOND) == [""]


def test_back_offs_double_up_to_the_most_and_begin_anew_after_a_success() -> None:
    breaker = tripped(max_backoff_ns=5 * SECOND)
    waits = []
    for now in range(10 * SECOND, 40 * SECOND, 10 * SECOND):
        door.on_time(breaker, now=now)
        door.probe(breaker, now=now)
        assert heard(breaker, "failure", now=now) == ["reopen"]
        waits.append(door.open_for(breaker, now=now) // SECOND)
    assert waits == [2, 4, 5]
    assert heard(breaker, "success", now=50 * SECOND) == ["close"]
    assert heard(breaker, "failure", now=50 * SECOND) == ["trip"]
    assert door.open_for(breaker, now=50 * SECOND) == SECOND


def test_chance_makes_them_longer_by_a_share_and_never_longer_than_the_most() -> None:
    said = {"max_failures": 1, "jitter": 0.5, "max_backoff_ns": 3 * SECOND}
    breaker = door.breaker(accrual(**said), now=0)
    assert door.open_for(breaker, now=0, chance=0.5) == 1.25 * SECOND
    assert door.open_for(breaker, now=0, chance=0.5) == 2.5 * SECOND
    assert door.open_for(breaker, now=0, chance=0.5) == 3 * SECOND


@pytest.mark.parametrize(
    ("heeds", "hold_s", "wait_s"), [(False, 30, 1), (True, 30, 30), (True, 0, 1), (True, 600, 60)]
)
def test_an_endpoint_may_ask_for_longer(heeds: bool, hold_s: int, wait_s: int) -> None:
    breaker = door.breaker(accrual(max_failures=1, heeds_hold=heeds), now=0)
    assert door.open_for(breaker, now=0, hold_ns=hold_s * SECOND) == wait_s * SECOND


def test_one_exchange_tries_it_and_brings_it_back_as_if_it_were_new() -> None:
    breaker = probed(10 * SECOND, threshold=9000, min_requests=2)
    assert door.breaker_state(breaker) == "probation"
    assert heard(breaker, "success", now=11 * SECOND) == ["close"]
    assert door.breaker_state(breaker) == "closed"
    # The one failure of before is forgotten.
    assert heard(breaker, "success", "success", now=11 * SECOND) == ["", ""]


def test_what_was_sent_before_it_tripped_says_nothing_of_how_it_is_now() -> None:
    breaker = tripped(now=SECOND)
    for verdict in ("success", "failure"):
        assert door.hear(breaker, verdict, sent=SECOND, now=2 * SECOND) == ""
    door.on_time(breaker, now=2 * SECOND)
    door.probe(breaker, now=2 * SECOND)
    for verdict in ("success", "failure", "nothing"):
        assert door.hear(breaker, verdict, sent=SECOND, now=2 * SECOND) == ""
    assert door.breaker_state(breaker) == "probation"


def test_a_probe_that_says_nothing_gives_its_place_to_another() -> None:
    breaker = probed(10 * SECOND)
    assert heard(breaker, "nothing", now=10 * SECOND) == ["wait"]
    door.probe(breaker, now=11 * SECOND)
    assert heard(breaker, "success", now=11 * SECOND) == ["close"]


def test_a_probe_without_an_end_is_a_failure_unless_its_response_has_begun() -> None:
    assert door.on_time(probed(10 * SECOND), now=11 * SECOND, answered=True) == "close"
    breaker = probed(10 * SECOND)
    assert door.on_time(breaker, now=11 * SECOND) == "reopen"
    door.open_for(breaker, now=11 * SECOND)
    # It was only slow.
    assert door.hear(breaker, "success", sent=10 * SECOND, now=12 * SECOND) == "close"


def test_a_late_failure_of_an_earlier_probe_is_not_that_of_the_next() -> None:
    breaker = probed(10 * SECOND)
    door.on_time(breaker, now=11 * SECOND)
    door.open_for(breaker, now=11 * SECOND)
    assert door.hear(breaker, "failure", sent=10 * SECOND, now=12 * SECOND) == ""
    door.on_time(breaker, now=13 * SECOND)
    door.probe(breaker, now=13 * SECOND)
    assert door.hear(breaker, "failure", sent=10 * SECOND, now=14 * SECOND) == ""
    assert door.hear(breaker, "failure", sent=13 * SECOND, now=14 * SECOND) == "reopen"


@pytest.mark.parametrize(("strict", "step"), [(False, "close"), (True, "reopen")])
def test_a_probe_that_is_told_to_slow_down(strict: bool, step: str) -> None:
    assert heard(probed(10 * SECOND, strict=strict), "limited", now=10 * SECOND) == [step]


@pytest.mark.parametrize(
    "said",
    [
        {"threshold": 10_001},
        {"min_backoff_ns": 2, "max_backoff_ns": 1},
        {"min_backoff_ns": -1},
        {"min_backoff_ns": 0, "max_backoff_ns": 0},
        {"max_backoff_ns": 2**62},
        {"jitter": -0.1},
        {"jitter": math.nan},
        {"window_ns": -1},
    ],
)
def test_what_makes_no_sense(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Accrual"):
        accrual(**said)
