"""Leased buffers: content, recycling, bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.core import buffer, debug
from linkerd2_py._ext.core.testing import LARGE, SMALL, Lease


@pytest.mark.parametrize(
    ("asked", "given_"),
    [
        (0, SMALL),
        (1, SMALL),
        (SMALL, SMALL),
        (SMALL + 1, LARGE),
        (LARGE, LARGE),
        (LARGE + 1, LARGE + 1),
    ],
)
def test_a_lease_has_at_least_what_was_asked_for(asked, given_):
    lease = Lease(asked)
    assert lease.capacity() == given_
    assert lease.content() == b""
    lease.give_back()


def test_a_returned_buffer_is_used_again_and_comes_back_empty():
    first = Lease(SMALL)
    first.append(b"old")
    first.skip(1)
    first.give_back()
    second = Lease(SMALL)
    assert second.same_memory(first)
    assert second.content() == b""
    assert second.room() == SMALL
    second.give_back()


def test_giving_back_twice_is_ignored():
    buffer.trim()
    lease = Lease(SMALL)
    lease.give_back()
    lease.give_back()
    assert buffer.spare() == (1, 0)


def test_the_pool_keeps_a_bounded_number():
    buffer.trim()
    for lease in [Lease(SMALL) for _ in range(400)] + [Lease(LARGE) for _ in range(20)]:
        lease.give_back()
    small, large = buffer.spare()
    assert 0 < small < 400
    assert 0 < large < 20
    buffer.trim()
    assert buffer.spare() == (0, 0)


def test_an_odd_size_is_not_kept():
    buffer.trim()
    lease = Lease(LARGE + 1)
    lease.give_back()
    assert buffer.spare() == (0, 0)
    assert lease.capacity() == 0


def test_a_lease_that_is_dropped_is_counted_as_gone():
    before = debug.counts()["buffer"]
    lease = Lease(SMALL)
    assert debug.counts()["buffer"] == before + debug.enabled()
    del lease
    assert debug.counts()["buffer"] == before


def test_an_impossible_lease_is_a_memory_error():
    with pytest.raises(MemoryError):
        Lease(2**62)


@given(st.lists(st.one_of(st.binary(max_size=6000), st.integers(0, 6000), st.none()), max_size=30))
def test_content_is_what_was_appended_and_not_skipped(steps):
    lease, expected = Lease(SMALL), b""
    for step in steps:
        if step is None:
            lease.compact()
            assert lease.room() == SMALL - len(expected)
        elif isinstance(step, int):
            lease.skip(min(step, len(expected)))
            expected = expected[step:]
        elif len(step) <= lease.room():
            lease.append(step)
            expected += step
        assert lease.content() == expected
    lease.give_back()
