"""When a loop waits without sleeping: after short sleeps only, and ever more rarely when it was in vain."""

from collections.abc import Iterator

import pytest

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import DeferActor

FIRST_TRY = 8  # short sleeps in a row
ENOUGH = 20_000  # drains; a machine that is busy makes some of the sleeps between them long


@pytest.fixture(params=[True, False], ids=["wanted", "unwanted"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    loop = Loop(busy_wait=request.param)
    yield loop
    loop.close()


def drains_until_spin(loop: Loop) -> int:
    """How many drains with something to do, one right after the other, until the loop waited busily once
    more.
    """
    actor = DeferActor(loop, lambda _: None)
    before = loop.stats()["spins"]
    for count in range(1, ENOUGH):
        actor.defer()
        loop.drain()
        if loop.stats()["spins"] > before:
            return count
    return ENOUGH


def test_each_wait_in_vain_makes_the_next_rarer(loop: Loop) -> None:
    if not loop.busy_wait:
        assert drains_until_spin(loop) == ENOUGH
        return
    assert drains_until_spin(loop) >= FIRST_TRY
    assert drains_until_spin(loop) >= 2 * FIRST_TRY
    assert drains_until_spin(loop) >= 4 * FIRST_TRY
    stats = loop.stats()
    assert (stats["spins"], stats["spin_hits"]) == (3, 0)


def test_an_idle_loop_never_spins(loop: Loop) -> None:
    """Its timer wakes it every ten milliseconds: too seldom to be worth it."""
    again = []

    def look() -> bool:
        again.append(1)
        return len(again) > 20

    assert loop.run_until(look)
    assert loop.stats()["spins"] == 0
