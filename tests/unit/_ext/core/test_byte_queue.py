"""A queue of bytes is what a bytearray would be, and holds no more buffers than its bytes need."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.core import buffer, debug
from linkerd2_py._ext.core.testing import SMALL, Queue


def buffers() -> int:
    return debug.counts()["buffer"]


@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.integers(1, 3 * SMALL).map(bytes), st.floats(0, 1))
    )
)
def test_what_goes_in_comes_out_in_order(steps):
    """Bytes are put; a number takes that share of what is there."""
    queue, model = Queue(), bytearray()
    for step in steps:
        if isinstance(step, bytes):
            queue.put(step)
            model += step
        else:
            count = int(len(model) * step)
            assert queue.take(count) == bytes(model[:count])
            del model[:count]
        assert len(queue) == len(model)
        assert model.startswith(queue.peek())
        assert bool(queue.peek()) == bool(model)
    queue.clear()


def test_a_look_at_the_front_is_followed_by_the_rest():
    queue = Queue()
    content = bytes(range(256)) * (3 * SMALL // 256)
    for at in range(0, len(content), 100):
        queue.put(content[at : at + 100])
    found = b""
    while len(queue):
        front = queue.peek()
        found += front
        queue.skip(len(front))
    assert found == content


@pytest.mark.skipif(not debug.enabled(), reason="counts live buffers")
def test_single_bytes_fill_the_last_buffer():
    before = buffers()
    queue = Queue()
    for _ in range(2 * SMALL + 1):
        queue.put(b"x")
    assert buffers() == before + 3
    queue.take(SMALL)
    assert buffers() == before + 2
    queue.clear()
    assert buffers() == before


def test_clearing_is_idempotent_and_the_queue_can_be_used_again():
    queue = Queue()
    queue.put(b"gone" * SMALL)
    queue.clear()
    queue.clear()
    assert len(queue) == 0
    assert queue.peek() == b""
    queue.put(b"new")
    assert queue.take(3) == b"new"


def test_its_buffers_are_recycled():
    buffer.trim()
    queue = Queue()
    for _ in range(4 * SMALL):
        queue.put(b"x")
    queue.clear()
    assert buffer.spare() == (4, 0)
