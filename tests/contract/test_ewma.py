"""The balancer against a plain Python model, and against the published experiment with one slow server."""

import heapq
import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.balance import testing as door
from linkerd2_py._ext.balance.p2c import Candidate

MS = 1_000_000
SECOND = 1_000_000_000


@dataclass(slots=True)
class Model:
    """Peak-EWMA as its authors describe it."""

    estimate: float
    stamp: int
    decay: float

    def believed(self, now: int) -> float:
        return self.estimate * math.exp(-max(0, now - self.stamp) / self.decay)

    def observe(self, rtt: float, now: int) -> None:
        share = math.exp(-max(0, now - self.stamp) / self.decay)
        if rtt > self.believed(now):
            self.estimate = rtt
        else:
            self.estimate = self.estimate * share + rtt * (1 - share)
        self.stamp = max(now, self.stamp)


STEPS = st.lists(
    st.tuples(st.integers(0, 60 * SECOND), st.integers(0, 120 * SECOND), st.integers(0, 10_000)),
    max_size=60,
)


@given(
    decay=st.integers(MS, 1000 * SECOND),
    default=st.integers(MS, SECOND),
    start=st.integers(0, 2**60),
    steps=STEPS,
)
def test_the_estimate_follows_the_model(
    decay: int, default: int, start: int, steps: list[tuple[int, int, int]]
) -> None:
    ours = door.Estimate(default, now=start, decay_ns=decay)
    model = Model(default, start, decay)
    now = start
    for pause, rtt, pending in steps:
        now += pause
        expected = model.believed(now) * (pending + 1)
        assert ours.load(now=now, pending=pending) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        ours.observe(rtt, now=now)
        model.observe(rtt, now)


@given(steps=STEPS)
def test_the_estimate_is_never_below_a_fresh_sample_nor_above_all_samples(
    steps: list[tuple[int, int, int]],
) -> None:
    ours = door.Estimate(30 * MS, now=0, decay_ns=10 * SECOND)
    worst, now = 30 * MS, 0
    for pause, rtt, _ in steps:
        now += pause
        worst = max(worst, rtt)
        ours.observe(rtt, now=now)
        assert rtt * (1 - 1e-9) - 1 <= ours.load(now=now) <= worst * (1 + 1e-9)


@given(
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=80),
    seed=st.integers(0, 2**64 - 1),
)
def test_membership_follows_a_set(changes: list[tuple[bool, int]], seed: int) -> None:
    ready = door.ready_set(seed=seed)
    candidates = [Candidate() for _ in range(12)]
    model: set[Candidate] = set()
    for joins, at in changes:
        (door.add(ready, candidates[at], now=0) if joins else door.remove(ready, candidates[at]))
        (model.add if joins else model.discard)(candidates[at])
        members = door.members(ready)
        assert set(members) == model and len(members) == door.size(ready) == len(model)
        assert all(members[door.position(member)] is member for member in model)
        picked = door.pick(ready, now=0)
        assert picked in model if model else picked is None


@given(loads=st.lists(st.integers(0, 5), min_size=2, max_size=12), seed=st.integers(0, 2**64 - 1))
def test_the_most_loaded_of_all_is_never_picked(loads: list[int], seed: int) -> None:
    ready = door.ready_set(seed=seed)
    for load in [*loads, 7]:
        candidate = Candidate()
        for _ in range(load):
            door.begin(candidate)
        door.add(ready, candidate, now=0)
    for _ in range(40):
        picked = door.pick(ready, now=0)
        assert picked is not None and door.pending(picked) < 7


def slow_share(
    *, endpoints: int, fast_ns: int, slow_ns: int, rate: int, seconds: int, seed: int
) -> float:
    """Share of requests that reach the one slow endpoint of an open-loop simulation."""
    ready = door.ready_set(seed=seed)
    candidates = [Candidate() for _ in range(endpoints)]
    for candidate in candidates:
        door.add(ready, candidate, now=0)
    slow, to_slow = candidates[0], 0
    ends: list[tuple[int, int, Candidate, int]] = []
    for number in range(rate * seconds):
        now = number * SECOND // rate
        while ends and ends[0][0] <= now:
            end, _, candidate, rtt = heapq.heappop(ends)
            door.complete(candidate, rtt, now=end)
        picked = door.pick(ready, now=now)
        assert picked is not None
        door.begin(picked)
        rtt = slow_ns if picked is slow else fast_ns
        to_slow += picked is slow
        heapq.heappush(ends, (now + rtt, number, picked, rtt))
    return to_slow / (rate * seconds)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_slow_endpoint_of_a_hundred_gets_far_less_than_round_robin(seed: int) -> None:
    share = slow_share(endpoints=100, fast_ns=MS, slow_ns=100 * MS, rate=5000, seconds=4, seed=seed)
    assert share < (1 / 100) / 50


def test_the_published_experiment_with_eleven_servers() -> None:
    # 11 servers at 167 ms, one at 2 s, 1,000 requests a second for 30 s.
    share = slow_share(
        endpoints=11, fast_ns=167 * MS, slow_ns=2 * SECOND, rate=1000, seconds=30, seed=1
    )
    assert share < (1 / 11) / 10
