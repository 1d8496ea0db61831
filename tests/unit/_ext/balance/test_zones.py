"""Endpoints near are used first, and others as far as those cannot take it: in virtual time."""

from __future__ import annotations

import heapq

import pytest

from linkerd2_py._ext.balance import testing as door
from tests.unit._ext.balance.mesh_model import MS, Answer, Behaviour, Model, closes, good


def zones(near: list[Behaviour], far: list[Behaviour]) -> Model:
    made = Model([*near, *far])
    for replica in made.replicas[: len(near)]:
        door.remove(made.ready, replica)
        door.weigh(replica, near=True)
        door.add(made.ready, replica, now=made.now)
    door.know_near(made.ready, len(near))
    return made


def share_near(made: Model, near: int) -> float:
    return sum(made.shares[i] for i in range(near)) / made.shares.total()


class Queueing:
    """A replica that serves some exchanges at once; the others wait for their turn."""

    def __init__(self, *, rtt_ms: float, at_once: int) -> None:
        self._rtt_ns = round(rtt_ms * MS)
        self._free = [0] * at_once

    def __call__(self, now: int) -> Answer:
        end = max(now, heapq.heappop(self._free)) + self._rtt_ns
        heapq.heappush(self._free, end)
        return Answer(end - now)


@pytest.mark.parametrize("clients", [1, 8, 48])
def test_all_stays_near_while_it_can(clients: int) -> None:
    """But for a look at the others now and then."""
    made = zones([good()] * 4, [good()] * 8)
    made.run(200 / clients, clients=clients)
    assert share_near(made, 4) > 0.99


def test_those_near_share_alike() -> None:
    made = zones([good()] * 3, [good()] * 3)
    made.run(20, clients=6)
    assert min(made.shares[i] for i in range(3)) > 0.25 * made.shares.total()


def test_what_is_too_much_for_them_goes_on() -> None:
    """The more there is of it, the more."""
    found = []
    for clients in (4, 24, 64):
        made = zones([Queueing(rtt_ms=20, at_once=4)], [good(20)] * 4)
        made.run(20, clients=clients)
        made.run(10, clients=clients)
        found.append(share_near(made, 1))
    assert found[0] > 0.99
    assert found[0] > found[1] > found[2] > 0.03


@pytest.mark.parametrize(("gone", "share"), [(0, 1.0), (2, 1.0), (5, 0.7), (8, 0.28), (10, 0.0)])
def test_as_many_are_missing_the_others_get_their_part(gone: int, share: float) -> None:
    made = zones([good()] * 10, [good()] * 3)
    for replica in made.replicas[:gone]:
        door.remove(made.ready, replica)
    made.run(10)
    assert share_near(made, 10) == pytest.approx(share, abs=0.04)


def test_failing_ones_near_are_left() -> None:
    made = zones([closes()] * 3, [good()] * 3)
    assert made.run(10, clients=4) > 0.95


def test_one_that_fails_among_those_near_is_no_reason_to_leave() -> None:
    made = zones([closes(), good(), good()], [good()] * 3)
    assert made.run(10, clients=4) > 0.95
    assert share_near(made, 3) > 0.97


def test_slow_ones_near_are_left_for_what_is_much_faster() -> None:
    made = zones([good(400)] * 2, [good(20)] * 2)
    made.run(20, clients=2)
    made.run(20, clients=2)
    assert share_near(made, 2) < 0.3


def test_none_near_is_as_if_nobody_preferred_any() -> None:
    made = Model([good()] * 4)
    door.know_near(made.ready, 3)
    made.run(10, clients=4)
    assert all(made.shares[i] > 0 for i in range(4))


def test_weights_hold_on_both_sides() -> None:
    made = zones([good()] * 2, [good()])
    door.remove(made.ready, made.replicas[1])
    door.weigh(made.replicas[1], 9, near=True)
    door.add(made.ready, made.replicas[1], now=made.now)
    made.run(20)
    assert share_near(made, 2) > 0.99
    assert made.shares[1] / made.shares.total() == pytest.approx(0.9, abs=0.03)


def test_a_peak_elsewhere_is_not_felt() -> None:
    made = zones([good(2)], [lambda _now: Answer(900 * MS)])
    made.run(10, clients=3)
    assert share_near(made, 1) > 0.99
