"""Keys of streams: what they find, and that one is never given twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.http2.testing import Table


def test_a_stream_is_found_by_its_key_until_it_is_removed() -> None:
    table = Table()
    first, second = table.add(), table.add()
    assert table.finds(first)
    assert table.finds(second)
    table.remove(first)
    assert not table.finds(first)
    assert table.finds(second)
    assert table.keys == [second]


def test_a_slot_that_is_used_again_does_not_answer_to_its_old_key() -> None:
    table = Table()
    old = table.add()
    table.remove(old)
    new = table.add()
    assert new & 0xFFFFFFFF == old & 0xFFFFFFFF
    assert not table.finds(old)
    assert table.finds(new)


@pytest.mark.parametrize("key", [0, 1 << 32, 2, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, (1 << 32) | 2])
def test_what_was_never_given_finds_nothing(key: int) -> None:
    """0 is what libnghttp2 keeps for a stream that nobody has named."""
    table = Table()
    assert table.add() == (1 << 32) | 1
    assert not table.finds(key)


@given(st.lists(st.integers(min_value=0, max_value=60), max_size=200))
def test_any_order_of_coming_and_going(steps: list[int]) -> None:
    table = Table()
    live: list[int] = []
    given_before: set[int] = set()
    for step in steps:
        if step < len(live):
            table.remove(live.pop(step))
        else:
            live.append(table.add())
            assert live[-1] not in given_before
            given_before.add(live[-1])
    assert table.count == len(live)
    assert sorted(table.keys) == sorted(live)
    assert {key for key in given_before if table.finds(key)} == set(live)
