"""Requests of a route take its ways as often as their weights say."""

from collections import Counter

import pytest

from linkerd2_py._ext.exchange.plan import Plan, Refusal
from linkerd2_py._ext.exchange.testing import picks
from linkerd2_py._ext.exchange.ways import Split, Way


def test_ways_without_weight_are_none() -> None:
    ways = Split([Way(weight=0), Way(weight=2), Way(weight=1)]).ways
    assert [one.weight for one in ways] == [2, 1]


def test_somewhere_it_must_lead() -> None:
    with pytest.raises(ValueError, match="some way"):
        Split([Way(weight=0)])


def test_weights_are_bounded() -> None:
    half = 1 << 31
    assert len(Split([Way(weight=half), Way(weight=half)]).ways) == 2
    with pytest.raises(ValueError, match=r"2\^32"):
        Split([Way(weight=half), Way(weight=half), Way()])


def test_what_is_no_way_is_refused() -> None:
    with pytest.raises(TypeError):
        Split([None])  # type: ignore[list-item]


@pytest.mark.parametrize("weights", [(1,), (1, 1), (9, 1), (3, 5, 2), (1 << 31, 1 << 30)])
def test_each_is_taken_as_often_as_its_weight_says(weights: tuple[int, ...]) -> None:
    """Ten thousand draws lie within six standard deviations."""
    split = Split([Way(weight=weight) for weight in weights])
    times = 10_000
    found = Counter(picks(split, times))
    for at, weight in enumerate(weights):
        share = weight / sum(weights)
        allowed = 6 * (times * share * (1 - share)) ** 0.5
        assert abs(found[at] - times * share) <= allowed


def test_a_way_may_belong_to_several_splits() -> None:
    shared = Way(weight=3)
    first, second = Split([shared, Way(weight=1)]), Split([Way(weight=100), shared])
    assert set(picks(first, 200)) == {0, 1}
    assert set(picks(second, 1000)) == {0, 1}


@pytest.mark.parametrize(("status", "share", "of"), [(99, 1, 1), (1000, 1, 1), (500, 1, 0)])
def test_a_refusal_is_a_response(status: int, share: int, of: int) -> None:
    with pytest.raises(ValueError, match="Refusal"):
        Refusal(status, "no", share=share, of=of)


def test_a_refusals_text_fits_into_a_field() -> None:
    assert Refusal(500, "a\r\nb\x00 \N{SNOWMAN}").text == b"a  b  ?"


def test_a_plan_says_what_it_was_given() -> None:
    refusal, split = Refusal(404, "no"), Split([Way()])
    assert Plan(refusal=refusal).refusal is refusal
    assert Plan(ways=split).ways is split
    assert (Plan().refusal, Plan().ways) == (None, None)
