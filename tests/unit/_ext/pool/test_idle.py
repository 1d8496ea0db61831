"""Idle connections: the newest first, the oldest first, and out of the middle."""

from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.core.limits import Limits
from linkerd2_py._ext.http1.client import Http1Client
from linkerd2_py._ext.http1.testing import Owner
from linkerd2_py._ext.pool.testing import Idle

LIMITS = Limits()
steps = st.lists(st.one_of(st.sampled_from(["push", "pop", "oldest"]), st.integers(0, 30)))


def connection() -> Http1Client:
    return Http1Client(Owner(), LIMITS)


@given(steps)
def test_any_order_of_coming_and_going(todo: list[str | int]) -> None:
    idle, model = Idle(), []
    for step in todo:
        if step == "push":
            model.append(connection())
            idle.push(model[-1])
        elif step == "pop":
            assert idle.pop() is (model.pop() if model else None)
        elif step == "oldest":
            assert idle.pop_oldest() is (model.pop(0) if model else None)
        elif model:
            idle.remove(model.pop(int(step) % len(model)))
        assert len(idle) == len(model)
    assert [idle.pop() for _ in model] == model[::-1]


def test_removing_twice_changes_nothing() -> None:
    idle, first, second = Idle(), connection(), connection()
    idle.push(first)
    idle.push(second)
    idle.remove(first)
    idle.remove(first)
    assert len(idle) == 1
    assert idle.pop() is second


def test_one_that_was_taken_may_come_again() -> None:
    idle, only = Idle(), connection()
    for _ in range(3):
        idle.push(only)
        assert idle.pop() is only
    assert idle.pop() is None
