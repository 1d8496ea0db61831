"""Long loops let the event loop turn, and share what each turn has for them."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from linkerd2_py.base import slices
from linkerd2_py.base.slices import in_slices

STEP_S = 0.001


class Time:
    """A clock that each step of work moves on, and who was at work in which turn of the loop."""

    def __init__(self) -> None:
        self.now = 100.0
        self.turn = 0
        self.work: list[tuple[int, str]] = []

    def __call__(self) -> float:
        return self.now

    async def go_through(self, count: int, *, name: str) -> list[int]:
        found = []
        async for item in in_slices(range(count)):
            self.now += STEP_S
            self.work.append((self.turn, name))
            found.append(item)
        return found

    def count_turns(self) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        going = True

        def count() -> None:
            self.turn += 1
            if going:
                loop.call_soon(count)

        def stop() -> None:
            nonlocal going
            going = False

        count()
        return stop


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(slices, "perf_counter", time)
    return time


def work_of_turns(time: Time) -> list[int]:
    """How many steps each turn of the loop did that did any."""
    turns = [turn for turn, _ in time.work]
    return [turns.count(turn) for turn in sorted(set(turns))]


async def test_every_item_comes_once_in_order(time: Time) -> None:
    assert await time.go_through(57, name="a") == list(range(57))


async def test_a_turn_has_one_slice(time: Time) -> None:
    stop = time.count_turns()
    await time.go_through(57, name="a")
    stop()
    most = round(slices.SLICE_S / STEP_S) + 1
    assert max(work_of_turns(time)) <= most
    assert len(work_of_turns(time)) >= 57 // most


async def test_loops_one_after_the_other_and_beside_each_other_share_it(time: Time) -> None:
    stop = time.count_turns()
    await time.go_through(7, name="a")
    await time.go_through(7, name="a")
    await asyncio.gather(*(time.go_through(40, name=name) for name in "bcd"))
    stop()
    assert len(time.work) == 14 + 120
    assert max(work_of_turns(time)) <= round(slices.SLICE_S / STEP_S) + 1


async def test_the_container_may_change_meanwhile(time: Time) -> None:
    held = dict.fromkeys(range(30))
    seen = []
    async for item in in_slices(held):
        held.pop(item)
        time.now += STEP_S
        seen.append(item)
    assert (seen, held) == (list(range(30)), {})


async def test_an_iterator_makes_its_items_in_slices_too(time: Time) -> None:
    def steps() -> Iterator[int]:
        for step in range(57):
            time.now += STEP_S
            time.work.append((time.turn, "made"))
            yield step

    stop = time.count_turns()
    assert [step async for step in in_slices(steps())] == list(range(57))
    stop()
    assert max(work_of_turns(time)) <= round(slices.SLICE_S / STEP_S) + 1
