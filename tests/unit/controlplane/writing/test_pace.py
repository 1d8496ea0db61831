"""When what was written may be written again."""

from __future__ import annotations

import pytest

from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.writing.pace import Pace

LIMITS = BackoffRange(min_s=1.0, max_s=8.0, jitter=0.0)


def test_each_try_is_later_than_the_one_before_until_it_is_settled() -> None:
    clock = ManualClock()
    pace: Pace[str] = Pace(clock=clock, pauses=LIMITS, random=lambda: 0.0)
    assert pace.may_try("a")
    assert pace.next_in_s() is None
    for pause_s in (1.0, 2.0, 4.0, 8.0, 8.0):
        pace.tried("a")
        assert not pace.may_try("a")
        assert pace.next_in_s() == pause_s
        assert pace.due() == []
        clock.advance(pause_s)
        assert pace.due() == ["a"]
        assert pace.may_try("a")
    pace.settled("a")
    assert len(pace) == 0
    pace.tried("a")
    assert pace.next_in_s() == 1.0


def test_one_waits_for_itself_only() -> None:
    pace: Pace[str] = Pace(clock=ManualClock(), pauses=LIMITS, random=lambda: 0.0)
    pace.tried("a")
    assert pace.may_try("b")


@pytest.mark.parametrize(("asked_s", "pause_s"), [(30.0, 30.0), (0.5, 1.0)])
def test_what_the_api_server_asks_for_is_waited(asked_s: float, pause_s: float) -> None:
    pace: Pace[str] = Pace(clock=ManualClock(), pauses=LIMITS, random=lambda: 0.0)
    pace.tried("a", pause_s=asked_s)
    assert pace.next_in_s() == pause_s
