"""Waiters stand in one queue at a time, in order of arrival, and may leave from any place."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.core import debug
from linkerd2_py._ext.exchange.testing import Line, Named


def names(line: Line) -> list[str]:
    return [waiter.name for waiter in iter(line.pop, None)]


@given(st.lists(st.one_of(st.just("append"), st.just("pop"), st.integers(0, 50))))
def test_any_order_of_coming_and_leaving(steps):
    line, model = Line(), []
    for number, step in enumerate(steps):
        if step == "append":
            waiter = Named(str(number))
            line.append(waiter)
            model.append(waiter)
        elif step == "pop":
            assert line.pop() is (model.pop(0) if model else None)
        elif model:
            model.pop(step % len(model)).leave_queue()
        assert len(line) == len(model)
    assert names(line) == [waiter.name for waiter in model]


def test_leaving_twice_changes_nothing():
    line = Line()
    first, second = Named("first"), Named("second")
    line.append(first)
    line.append(second)
    first.leave_queue()
    first.leave_queue()
    assert names(line) == ["second"]


def test_those_of_another_queue_come_behind_and_can_leave_from_there():
    line, other = Line(), Line()
    waiters = [Named(name) for name in "abcd"]
    line.append(waiters[0])
    for waiter in waiters[1:]:
        other.append(waiter)
    line.take_all(other)
    waiters[2].leave_queue()
    assert len(other) == 0
    assert names(line) == ["a", "b", "d"]


@pytest.mark.skipif(not debug.enabled(), reason="a release build does not look")
def test_a_debug_build_refuses_a_second_queue():
    program = "from linkerd2_py._ext.exchange.testing import Line, Named\nwaiter = Named('w')\nLine().append(waiter)\nLine().append(waiter)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "a waiter stood in two queues" in ended.stderr
