"""Membership and choice of the ready set, through its C interface."""

import subprocess
import sys
from collections import Counter

import pytest

from linkerd2_py._ext.balance import testing as door
from linkerd2_py._ext.balance.p2c import Candidate, ReadySet
from linkerd2_py._ext.core.debug import enabled
from tests.support.wait import patience

WRONG_SET = """
one, other = door.ready_set(seed=1), door.ready_set(seed=1)
door.add(one, c, now=0)
door.remove(other, c)
print(door.members(one) == [c])
"""
MS = 1_000_000
SECOND = 1_000_000_000


def filled(count: int, *, seed: int = 1) -> tuple[ReadySet, list[Candidate]]:
    ready = door.ready_set(seed=seed)
    candidates = [Candidate() for _ in range(count)]
    for candidate in candidates:
        door.add(ready, candidate, now=0)
    return ready, candidates


def picks(ready: ReadySet, count: int) -> list[Candidate]:
    chosen = [door.pick(ready, now=0) for _ in range(count)]
    return [candidate for candidate in chosen if candidate is not None]


def test_an_empty_set_picks_nothing() -> None:
    assert door.pick(door.ready_set(seed=1), now=0) is None


def test_a_single_member_is_always_picked() -> None:
    ready, [only] = filled(1)
    assert door.pick(ready, now=0) is only


def test_adding_twice_keeps_one_entry() -> None:
    ready, [first, _] = filled(2)
    door.add(ready, first, now=0)
    assert door.size(ready) == 2


def test_removing_twice_or_never_added_changes_nothing() -> None:
    ready, [first, second] = filled(2)
    door.remove(ready, first)
    door.remove(ready, first)
    door.remove(ready, Candidate())
    assert door.members(ready) == [second]
    assert door.position(first) == -1


def test_positions_follow_members_through_removals() -> None:
    ready, candidates = filled(5)
    door.remove(ready, candidates[1])
    door.remove(ready, candidates[4])
    members = door.members(ready)
    assert set(members) == {candidates[0], candidates[2], candidates[3]}
    assert [door.position(member) for member in members] == [0, 1, 2]


def test_a_removed_member_is_picked_no_more() -> None:
    ready, candidates = filled(3)
    door.remove(ready, candidates[0])
    assert candidates[0] not in picks(ready, 200)


def test_two_members_with_different_loads_always_give_the_lower() -> None:
    # Only when the two drawn members are distinct can the busy one never win.
    ready, [busy, free] = filled(2)
    door.begin(busy)
    assert set(picks(ready, 500)) == {free}


def test_equal_loads_fall_to_the_first_drawn_and_spread_evenly() -> None:
    ready, candidates = filled(4, seed=7)
    shares = Counter(map(id, picks(ready, 8000)))
    assert set(shares) == set(map(id, candidates))
    assert all(1800 < share < 2200 for share in shares.values())


def test_the_same_seed_gives_the_same_choices() -> None:
    ready, candidates = filled(10, seed=42)
    again, others = filled(10, seed=42)
    order = [candidates.index(candidate) for candidate in picks(ready, 100)]
    assert order == [others.index(candidate) for candidate in picks(again, 100)]


def test_a_zero_seed_still_draws() -> None:
    ready, _ = filled(8, seed=0)
    assert len(set(map(id, picks(ready, 200)))) == 8


def test_unseeded_sets_do_not_pick_in_step() -> None:
    assert door.seed_of(ReadySet()) != door.seed_of(ReadySet())


def test_a_new_member_starts_with_the_default_round_trip() -> None:
    _, [candidate] = filled(1)
    assert door.estimate_ns(candidate) == 30 * MS


def test_a_member_that_comes_back_keeps_its_estimate() -> None:
    ready, [candidate] = filled(1)
    door.begin(candidate)
    door.complete(candidate, 2 * SECOND, now=SECOND)
    door.remove(ready, candidate)
    door.add(ready, candidate, now=2 * SECOND)
    assert door.estimate_ns(candidate) == 2 * SECOND


def test_removal_leaves_exchanges_in_flight_alone() -> None:
    ready, [candidate] = filled(1)
    door.begin(candidate)
    door.remove(ready, candidate)
    assert door.pending(candidate) == 1
    door.complete(candidate, MS, now=0)
    assert door.pending(candidate) == 0


def test_cancelling_takes_no_sample() -> None:
    _, [candidate] = filled(1)
    door.begin(candidate)
    door.cancel(candidate)
    assert (door.pending(candidate), door.estimate_ns(candidate)) == (0, 30 * MS)


def test_a_negative_round_trip_counts_as_none() -> None:
    _, [candidate] = filled(1)
    door.begin(candidate)
    door.complete(candidate, -5, now=10 * SECOND)
    assert 0 <= door.estimate_ns(candidate) < 30 * MS


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("door.cancel(c); print(door.pending(c) == 0)", "completes more than was dispatched"),
        (
            WRONG_SET,
            "removed from a set that it is not in",
        ),
    ],
)
def test_misuse_ends_a_debug_build_and_is_harmless_in_a_release(
    program: str, complaint: str
) -> None:
    preface = (
        "from linkerd2_py._ext.balance import testing as door\n"
        "from linkerd2_py._ext.balance.p2c import Candidate\nc = Candidate()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", preface + program],
        capture_output=True,
        text=True,
        check=False,
        timeout=30 * patience(),
    )
    if enabled():
        assert done.returncode < 0 and complaint in done.stderr
    else:
        assert done.stdout == "True\n"


@pytest.mark.parametrize("count", [2, 3, 100])
def test_every_member_can_be_picked(count: int) -> None:
    ready, _ = filled(count)
    assert len(set(map(id, picks(ready, count * 40)))) == count
