"""Back-off: doubling, bounded, jittered, forgiving."""

import random

import pytest

from linkerd2_py.base.backoff import Backoff, BackoffRange
from linkerd2_py.base.clock import ManualClock


def backoff(*, jitter: float = 0.0, clock: ManualClock | None = None) -> Backoff:
    limits = BackoffRange(min_s=0.1, max_s=1.0, jitter=jitter)
    return Backoff(limits, source=random.Random(7).random, clock=clock or ManualClock())


def test_delays_double_up_to_the_longest() -> None:
    series = backoff()
    assert [series.next_delay_s() for _ in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1, 1])


def test_jitter_only_adds_and_stays_within_its_share() -> None:
    series = backoff(jitter=0.5)
    delays = [series.next_delay_s() for _ in range(50)][4:]
    assert all(1.0 <= delay <= 1.5 for delay in delays)
    assert len(set(delays)) > 40


def test_the_same_seed_gives_the_same_series() -> None:
    first, second = backoff(jitter=1.0), backoff(jitter=1.0)
    assert [first.next_delay_s() for _ in range(5)] == [second.next_delay_s() for _ in range(5)]


def test_success_starts_the_series_anew() -> None:
    series = backoff()
    series.next_delay_s()
    series.next_delay_s()
    series.reset()
    assert series.next_delay_s() == pytest.approx(0.1)


def test_a_try_that_lasted_starts_the_series_anew() -> None:
    clock = ManualClock()
    series = backoff(clock=clock)
    for _ in range(4):
        series.begin()
        series.next_delay_s()
    series.begin()
    clock.advance(1.5)
    assert series.next_delay_s() == pytest.approx(0.1)
