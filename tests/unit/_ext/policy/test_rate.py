"""How many requests are let in, second by second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.metrics.registry import Registry
from linkerd2_py._ext.policy.rate import Limit, Rate
from linkerd2_py._ext.route.testing import refused

NS = 1_000_000_000


def limit(rate: Rate, words: str = "too many") -> Limit:
    return Limit(rate, refusal=words)


def test_a_quiet_second_may_be_made_up_for_and_no_more() -> None:
    limits = (limit(Rate(10)),)
    now = 100 * NS
    assert [refused(limits, now) for _ in range(10)] == [None] * 10
    assert refused(limits, now) == b"too many"
    # One more with each tenth of a second.
    assert refused(limits, now + NS // 10 - 1) == b"too many"
    assert refused(limits, now + NS // 10) is None
    assert refused(limits, now + NS // 10) == b"too many"
    # However long it was quiet.
    later = now + 1000 * NS
    assert [refused(limits, later) for _ in range(11)].count(None) == 10


def test_what_one_limit_refuses_takes_nothing_from_the_others() -> None:
    """Who is beyond a limit of its own leaves the rest to others."""
    total, own = Rate(3), Rate(1)
    mine, others = (limit(total, "total"), limit(own, "own")), (limit(total, "total"),)
    now = 100 * NS
    assert refused(mine, now) is None
    assert [refused(mine, now) for _ in range(5)] == [b"own"] * 5
    assert [refused(others, now) for _ in range(3)] == [None, None, b"total"]


def test_refusals_are_counted_with_the_limit_that_refuses() -> None:
    registry = Registry()
    counter = registry.counter("refused", "As asked.")
    limits = (Limit(Rate(1), refusal="no", refused=counter),)
    for _ in range(4):
        refused(limits, NS * 100)
    assert counter.value == 3


@pytest.mark.parametrize("per_second", [0, -1, NS + 1])
def test_a_rate_lets_something_in(per_second: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Rate(per_second)


@given(st.integers(1, 50), st.lists(st.integers(0, NS), min_size=1, max_size=200).map(sorted))
def test_no_second_has_more_than_twice_the_rate(per_second: int, moments: list[int]) -> None:
    """In any second: what was saved, and what is due."""
    limits = (limit(Rate(per_second)),)
    taken = [at for at in moments if refused(limits, 50 * NS + at) is None]
    assert len(taken) <= 2 * per_second
    assert len(taken) >= min(len(moments), per_second)
