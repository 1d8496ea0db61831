"""A plan is a value: made once, told apart from mistakes, and never changed."""

import pytest

from linkerd2_py._ext.exchange.plan import Plan
from linkerd2_py._ext.exchange.testing import Watching


def test_a_plan_without_decisions_is_empty() -> None:
    assert Plan().observers == ()


def test_observers_stay_in_order_whatever_becomes_of_the_list() -> None:
    first, second = Watching(), Watching()
    given = [first, second]
    plan = Plan(observers=given)
    given.clear()
    assert plan.observers == (first, second)


def test_a_plan_cannot_be_changed() -> None:
    plan = Plan()
    with pytest.raises(AttributeError):
        plan.observers = (Watching(),)  # type: ignore[misc]


@pytest.mark.parametrize("mistake", [None, "tap", Watching])
def test_what_is_no_observer_is_refused(mistake: object) -> None:
    with pytest.raises(TypeError, match="no Observer"):
        Plan(observers=[mistake])  # type: ignore[list-item]
