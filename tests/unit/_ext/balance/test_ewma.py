"""Single steps of the round-trip estimate, with literal numbers."""

import math

import pytest

from linkerd2_py._ext.balance.testing import Estimate

MS = 1_000_000
SECOND = 1_000_000_000


def thirty_ms() -> Estimate:
    return Estimate(30 * MS, now=0, decay_ns=10 * SECOND)


def test_the_load_counts_the_exchange_that_would_be_added() -> None:
    assert thirty_ms().load(now=0, pending=2) == 90 * MS


def test_the_load_decays_by_e_in_one_decay_time() -> None:
    assert thirty_ms().load(now=10 * SECOND) == pytest.approx(30 * MS / math.e)


def test_reading_the_load_stores_nothing() -> None:
    estimate = thirty_ms()
    estimate.load(now=50 * SECOND)
    assert estimate.load(now=0) == 30 * MS


def test_a_worse_sample_replaces_the_estimate_at_once() -> None:
    estimate = thirty_ms()
    estimate.observe(2 * SECOND, now=MS)
    assert estimate.load(now=MS) == 2 * SECOND


def test_a_better_sample_moves_it_by_the_time_since_the_last() -> None:
    estimate = thirty_ms()
    estimate.observe(1 * MS, now=10 * SECOND)
    assert estimate.load(now=10 * SECOND) == pytest.approx(30 * MS / math.e + (1 - 1 / math.e) * MS)


def test_a_sample_above_the_decayed_estimate_is_a_peak() -> None:
    # 30 ms has decayed to about 11 ms: 15 ms is worse than what is believed now.
    estimate = thirty_ms()
    estimate.observe(15 * MS, now=10 * SECOND)
    assert estimate.load(now=10 * SECOND) == 15 * MS


def test_a_clock_that_steps_back_neither_decays_nor_grows() -> None:
    estimate = thirty_ms()
    estimate.observe(20 * MS, now=10 * SECOND)
    estimate.observe(1 * MS, now=5 * SECOND)
    assert estimate.load(now=0) == 20 * MS


def test_a_decay_of_zero_is_raised_to_a_millisecond() -> None:
    estimate = Estimate(30 * MS, now=0, decay_ns=0)
    assert estimate.load(now=MS) == pytest.approx(30 * MS / math.e)
