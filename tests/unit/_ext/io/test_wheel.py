"""The wheel of timers, turned by hand: nothing here waits."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.io.testing import TimedWheel

MS = 1_000_000
TICK = 10 * MS
REVOLUTION = 4096 * TICK


@pytest.fixture
def wheel() -> Iterator[TimedWheel]:
    made = TimedWheel()
    yield made
    made.let_go()


def take_all(wheel: TimedWheel) -> list[int]:
    kinds = []
    while (due := wheel.take_due()) is not None:
        kinds.append(due[0])
    return kinds


def test_a_timer_is_due_with_the_tick_behind_its_deadline(wheel: TimedWheel) -> None:
    wheel.arm(1, wheel.began + 15 * MS)
    assert not wheel.is_due(wheel.began + 2 * TICK - 1)
    wheel.turn(wheel.began + 2 * TICK - 1)
    assert wheel.take_due() is None
    assert wheel.is_due(wheel.began + 2 * TICK)
    wheel.turn(wheel.began + 2 * TICK)
    assert take_all(wheel) == [1]
    assert wheel.armed == 0


def test_what_is_taken_is_disarmed_and_still_knows_its_owner(wheel: TimedWheel) -> None:
    wheel.arm(1, wheel.began)
    wheel.turn(wheel.began + TICK)
    assert wheel.armed == 1
    assert wheel.take_due() == (1, False, True)
    assert wheel.armed == 0


def test_an_empty_wheel_need_not_be_turned(wheel: TimedWheel) -> None:
    assert wheel.next_tick == 0
    assert not wheel.is_due(wheel.began + REVOLUTION)
    wheel.turn(wheel.began + REVOLUTION)
    wheel.arm(1, wheel.began + REVOLUTION)
    wheel.turn(wheel.began + REVOLUTION + TICK)
    assert take_all(wheel) == [1]
    assert wheel.next_tick == 0


def test_what_is_due_stays_so_until_it_is_taken(wheel: TimedWheel) -> None:
    wheel.arm(1, wheel.began)
    wheel.turn(wheel.began + TICK)
    assert wheel.is_due(wheel.began)
    assert take_all(wheel) == [1]
    assert not wheel.is_due(wheel.began + TICK)


def test_the_next_turn_is_that_of_the_first_timer(wheel: TimedWheel) -> None:
    first = wheel.began // TICK
    for kind, ticks in ((1, 300), (2, 5), (3, 70)):
        wheel.arm(kind, wheel.began + ticks * TICK)
    assert wheel.next_tick == first + 6
    wheel.turn(wheel.began + 6 * TICK)
    assert wheel.next_tick == first + 71
    wheel.turn(wheel.began + 71 * TICK)
    assert wheel.next_tick == first + 301
    assert take_all(wheel) == [2, 3]


def test_arming_again_later_leaves_the_timer_until_its_old_slot_comes_up(wheel: TimedWheel) -> None:
    wheel.arm(1, wheel.began)
    wheel.arm(1, wheel.began + 4 * TICK)
    assert wheel.armed == 1
    wheel.turn(wheel.began + TICK)
    assert wheel.take_due() is None
    assert wheel.next_tick == wheel.began // TICK + 5
    wheel.turn(wheel.began + 5 * TICK)
    assert take_all(wheel) == [1]


def test_arming_again_earlier_moves_the_timer_at_once(wheel: TimedWheel) -> None:
    wheel.arm(1, wheel.began + 400 * TICK)
    wheel.arm(1, wheel.began)
    assert wheel.armed == 1
    assert wheel.next_tick == wheel.began // TICK + 1
    wheel.turn(wheel.began + TICK)
    assert take_all(wheel) == [1]


def test_arming_what_is_due_takes_it_back(wheel: TimedWheel) -> None:
    for kind in (1, 2):
        wheel.arm(kind, wheel.began)
    wheel.turn(wheel.began + TICK)
    wheel.arm(1, wheel.began + 3 * TICK)
    assert take_all(wheel) == [2]
    wheel.turn(wheel.began + 4 * TICK)
    assert take_all(wheel) == [1]


def test_disarming_lets_go_of_the_owner_and_may_be_repeated(wheel: TimedWheel) -> None:
    wheel.arm(1, wheel.began)
    assert wheel.owned() == {1}
    wheel.disarm(1)
    wheel.disarm(1)
    # One that never was.
    wheel.disarm(2)
    assert wheel.owned() == set()
    assert wheel.armed == 0
    wheel.turn(wheel.began + TICK)
    assert wheel.take_due() is None
    assert wheel.next_tick == 0


@pytest.mark.parametrize("gone", [1, 2, 3])
@pytest.mark.parametrize("due", [False, True])
def test_one_of_a_list_leaves_the_others_wherever_it_stands(
    wheel: TimedWheel, gone: int, due: bool
) -> None:
    for kind in (1, 2, 3):
        wheel.arm(kind, wheel.began)
    if due:
        wheel.turn(wheel.began + TICK)
    wheel.disarm(gone)
    wheel.arm(4, wheel.began + TICK)
    wheel.turn(wheel.began + 2 * TICK)
    found = take_all(wheel)
    assert sorted(found[:2]) == sorted({1, 2, 3} - {gone})
    assert found[2:] == [4]


def test_those_that_are_due_stand_in_the_order_of_their_ticks(wheel: TimedWheel) -> None:
    for kind in (3, 1, 2, 0):
        wheel.arm(kind, wheel.began + kind * TICK)
    wheel.turn(wheel.began + 10 * TICK)
    assert take_all(wheel) == [0, 1, 2, 3]


def test_a_timer_one_revolution_away_waits_for_its_own(wheel: TimedWheel) -> None:
    # The same slot.
    wheel.arm(1, wheel.began + 2 * TICK)
    wheel.arm(2, wheel.began + 2 * TICK + REVOLUTION)
    wheel.turn(wheel.began + 3 * TICK)
    assert take_all(wheel) == [1]
    wheel.turn(wheel.began + 2 * TICK + REVOLUTION)
    assert wheel.take_due() is None
    wheel.turn(wheel.began + 3 * TICK + REVOLUTION)
    assert take_all(wheel) == [2]


def test_a_turn_that_comes_revolutions_late_finds_all(wheel: TimedWheel) -> None:
    for kind in range(8):
        wheel.arm(kind, wheel.began + kind * REVOLUTION // 4)
    wheel.turn(wheel.began + 3 * REVOLUTION)
    assert sorted(take_all(wheel)) == list(range(8))
    assert wheel.next_tick == 0


def test_clearing_disarms_what_waits_and_what_is_due(wheel: TimedWheel) -> None:
    wheel.arm(1, wheel.began)
    wheel.turn(wheel.began + TICK)
    for kind, ticks in ((2, 5), (3, 5), (4, 4000)):
        wheel.arm(kind, wheel.began + ticks * TICK)
    wheel.clear()
    assert wheel.armed == 0
    assert wheel.owned() == set()
    assert wheel.take_due() is None


STEPS = st.one_of(
    st.tuples(st.just("arm"), st.integers(0, 7), st.sampled_from([0, 1, 3, 64, 4095, 4096, 9000])),
    st.tuples(st.just("disarm"), st.integers(0, 7), st.just(0)),
    st.tuples(st.just("turn"), st.just(0), st.sampled_from([0, 1, 2, 63, 4095, 4096, 5000])),
)


@given(st.lists(STEPS, max_size=60))
def test_each_turn_finds_exactly_what_is_due(steps: list[tuple[str, int, int]]) -> None:
    wheel = TimedWheel()
    now = wheel.began
    ticks: dict[int, int] = {}
    for verb, kind, count in steps:
        if verb == "arm":
            wheel.arm(kind, now + count * TICK)
            ticks[kind] = now // TICK + count + 1
        elif verb == "disarm":
            wheel.disarm(kind)
            ticks.pop(kind, None)
        else:
            now += count * TICK
            wheel.turn(now)
            due = {kind for kind, tick in ticks.items() if tick <= now // TICK}
            assert set(take_all(wheel)) == due
            ticks = {kind: tick for kind, tick in ticks.items() if kind not in due}
        assert wheel.armed == len(ticks)
        # Whoever waits until the next tick comes too late for none.
        assert not ticks or 0 < wheel.next_tick <= min(ticks.values())
    wheel.clear()
