"""A queue of bytes is what a bytearray would be, and holds no more buffers than its bytes need."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.core import buffer, debug
from linkerd2_py._ext.core.testing import SMALL, Queue


def buffers() -> int:
    return debug.counts()["buffer"]


PIECES = st.one_of(st.binary(min_size=1, max_size=300), st.integers(1, 3 * SMALL).map(bytes))


@given(
    st.lists(st.one_of(PIECES, st.tuples(PIECES, st.integers(0, SMALL)), st.floats(0, 1))),
    st.booleans(),
)
def test_what_goes_in_comes_out_in_order(steps, roomy):
    """Bytes are put, or written in place where more room was reserved; a number takes that share of what is
    there.
    """
    queue, model = Queue(roomy=roomy), bytearray()
    for step in steps:
        if isinstance(step, bytes):
            queue.put(step)
            model += step
        elif isinstance(step, tuple):
            content, spare = step
            queue.write(content, room=len(content) + spare)
            model += content
        else:
            count = int(len(model) * step)
            assert queue.take(count) == bytes(model[:count])
            del model[:count]
        assert len(queue) == len(model)
        assert model.startswith(queue.peek())
        assert bool(queue.peek()) == bool(model)
        assert queue.whole == (queue.peek() == model)
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


def test_what_is_written_in_place_stands_together():
    queue = Queue(roomy=True)
    queue.put(b"x" * (SMALL - 10))
    queue.write(b"head", room=10)
    assert queue.whole
    queue.write(b"line", room=7)
    assert not queue.whole
    assert queue.peek() == b"x" * (SMALL - 10) + b"head"
    queue.skip(SMALL - 6)
    assert queue.peek() == b"line"


def test_a_roomy_queue_keeps_what_follows_a_few_bytes_beside_them():
    tiny, roomy = Queue(), Queue(roomy=True)
    for queue in (tiny, roomy):
        queue.put(b"first")
        queue.put(b"x" * 2000)
    assert not tiny.whole
    assert roomy.whole


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
