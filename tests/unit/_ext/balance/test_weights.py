"""Weights of endpoints: shares that follow them, drawn by lots and in virtual time, and loads that go before."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.balance import testing as door
from linkerd2_py._ext.balance.p2c import Candidate, ReadySet
from tests.unit._ext.balance.mesh_model import MS, SECOND, Answer, Behaviour, Model

LARGEST = 0xFFFFFFFF / 10_000


def weighted(*weights: float, seed: int = 1) -> tuple[ReadySet, list[Candidate]]:
    ready = door.ready_set(seed=seed)
    candidates = [Candidate() for _ in weights]
    for candidate, weight in zip(candidates, weights, strict=True):
        door.weigh(candidate, weight)
        door.add(ready, candidate, now=0)
    return ready, candidates


def shares(ready: ReadySet, candidates: list[Candidate], *, of: int = 20_000) -> list[float]:
    counted = Counter(id(door.pick(ready, now=0)) for _ in range(of))
    return [counted[id(candidate)] / of for candidate in candidates]


def varying(rtt_ms: float, *, seed: int) -> Behaviour:
    """As long as that, give or take a half, and one time in a hundred three times as long."""
    dice = random.Random(seed)

    def answer(_now: int) -> Answer:
        slow = 3 if dice.random() < 0.01 else 1
        return Answer(round(rtt_ms * MS * slow * dice.uniform(0.5, 1.5)))

    return answer


def model(*weights: float, rtt_ms: float = 5, seed: int = 1) -> Model:
    found = Model([varying(rtt_ms, seed=seed + i) for i in range(len(weights))], seed=seed)
    for replica, weight in zip(found.replicas, weights, strict=True):
        door.remove(found.ready, replica)
        door.weigh(replica, weight)
        door.add(found.ready, replica, now=found.now)
    return found


@pytest.mark.parametrize("weights", [(1, 3), (1, 10), (1, 1, 2, 4), (0.5, 1000)])
def test_shares_of_what_is_equally_fast_are_those_of_the_weights(
    weights: tuple[float, ...],
) -> None:
    found = shares(*weighted(*weights))
    for share, weight in zip(found, weights, strict=True):
        assert share == pytest.approx(weight / sum(weights), abs=0.015)


@pytest.mark.parametrize("clients", [1, 4, 64])
@pytest.mark.parametrize("heavier", [3, 10])
@pytest.mark.parametrize("rtt_ms", [0.5, 5, 80])
def test_shares_follow_weights_under_load(clients: int, heavier: int, rtt_ms: float) -> None:
    """Within a fifth of the lighter one's share, whatever the load is, though answers vary and one in a hundred
    is three times as late.
    """
    made = model(1, heavier, rtt_ms=rtt_ms)
    made.run(5000 * rtt_ms / 1000 / clients, clients=clients)
    lighter = made.shares[0] / made.shares.total()
    assert lighter == pytest.approx(1 / (1 + heavier), rel=0.2)


def test_three_versions_of_several_replicas_each() -> None:
    weights = [1] * 4 + [3] * 4 + [10] * 4
    made = model(*weights)
    made.run(2, clients=32)
    total = made.shares.total()
    for first, weight in ((0, 1), (4, 3), (8, 10)):
        share = sum(made.shares[i] for i in range(first, first + 4)) / total
        assert share == pytest.approx(weight * 4 / sum(weights), rel=0.15)


def test_the_heavier_one_that_is_slow_gets_less() -> None:
    made = Model([lambda _now: Answer(5 * MS), lambda _now: Answer(200 * MS)])
    for replica, weight in zip(made.replicas, (1, 10), strict=True):
        door.remove(made.ready, replica)
        door.weigh(replica, weight)
        door.add(made.ready, replica, now=made.now)
    made.run(10, clients=4)
    made.run(10, clients=4)
    assert made.shares[0] > 10 * made.shares[1]


def test_one_that_fails_gets_next_to_nothing_whatever_it_weighs() -> None:
    made = Model([lambda _now: Answer(5 * MS), lambda _now: Answer(MS, served=False)])
    door.remove(made.ready, made.replicas[1])
    door.weigh(made.replicas[1], LARGEST)
    door.add(made.ready, made.replicas[1], now=made.now)
    assert made.run(10, clients=4) > 0.95


def test_equal_weights_choose_as_none_would() -> None:
    """Whatever they are, as the controllers of 2018 say 1 of all."""
    plain, ones = weighted(1, 1, 1, 1, 1)
    alike, others = weighted(*[0.0001] * 5)
    for _ in range(500):
        first, second = door.pick(plain, now=0), door.pick(alike, now=0)
        assert first is not None and second is not None
        assert ones.index(first) == others.index(second)
        if random.random() < 0.5:
            door.begin(first)
            door.begin(second)


def test_weights_that_become_equal_are_forgotten() -> None:
    ready, (first, second, odd) = weighted(1, 1, 50)
    assert shares(ready, [first, second, odd])[2] > 0.9
    door.remove(ready, odd)
    assert shares(ready, [first, second])[0] == pytest.approx(0.5, abs=0.02)
    door.weigh(odd, 1)
    door.add(ready, odd, now=0)
    assert shares(ready, [first, second, odd])[2] == pytest.approx(1 / 3, abs=0.02)


def test_the_largest_beside_the_smallest() -> None:
    ready, candidates = weighted(LARGEST, 0.0001, LARGEST)
    found = shares(ready, candidates)
    assert found[1] == 0
    assert found[0] == pytest.approx(0.5, abs=0.02)


@given(
    st.lists(st.sampled_from([0.0001, 0.5, 1, 3, 1000, LARGEST]), min_size=2, max_size=40),
    st.integers(0, 2**64 - 1),
    st.data(),
)
def test_a_lot_is_one_of_those_asked_for(
    weights: list[float], chance: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(weights) - 2))
    last = data.draw(st.integers(first + 2, len(weights)))
    but = data.draw(st.none() | st.integers(first, last - 1))
    found = door.draw(weights, first, last, chance, but)
    assert first <= found < last and found != but


@pytest.mark.parametrize("but", [None, 1, 2, 3])
def test_lots_of_a_part_keep_their_proportions(but: int | None) -> None:
    weights, dice = [9.0, 1.0, 2.0, 5.0, 9.0], random.Random(1)
    drawn = Counter(door.draw(weights, 1, 4, dice.getrandbits(64), but) for _ in range(20_000))
    left = {i: weights[i] for i in (1, 2, 3) if i != but}
    assert set(drawn) == set(left)
    for number, weight in left.items():
        assert drawn[number] / 20_000 == pytest.approx(weight / sum(left.values()), abs=0.015)


@given(st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=60))
def test_those_near_stand_before_the_others_however_they_come_and_go(
    steps: list[tuple[int, bool]],
) -> None:
    ready = door.ready_set(seed=1)
    candidates = [Candidate() for _ in range(8)]
    inside: set[int] = set()
    nearness: dict[int, bool] = {}
    for which, near in steps:
        if which in inside:
            door.remove(ready, candidates[which])
            inside.remove(which)
        else:
            door.weigh(candidates[which], 1 + which % 3, near=near)
            door.add(ready, candidates[which], now=0)
            inside.add(which)
            nearness[which] = near
        members = [candidates.index(one) for one in door.members(ready)]
        assert sorted(members) == sorted(inside)
        assert [door.position(candidates[one]) for one in members] == list(range(len(members)))
        wanted = sum(nearness[one] for one in inside)
        assert door.near(ready) == wanted
        assert all(nearness[one] for one in members[:wanted])
        chosen = door.pick(ready, now=SECOND)
        assert (chosen is None) == (not inside)
        assert chosen is None or candidates.index(chosen) in inside
