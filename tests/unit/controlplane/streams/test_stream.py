"""The queue of one subscriber: in order, bounded, and it ends."""

import asyncio

import pytest

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.streams.stream import StreamOverflowError, UpdateStream


async def read(stream: UpdateStream, into: list[bytes]) -> None:
    async for message in stream:
        into.append(message)  # noqa: PERF401  # each as it comes


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_messages_come_in_order_whether_they_are_waited_for_or_not() -> None:
    stream, got = UpdateStream(), list[bytes]()
    stream.push([b"1", b"2"])
    reading = spawn(read(stream, got), name="reader")
    await turns()
    assert got == [b"1", b"2"]
    stream.push([b"3"])
    stream.push([b"4"])
    stream.close()
    await asyncio.wait_for(reading, 10)
    assert got == [b"1", b"2", b"3", b"4"]


async def test_as_many_as_the_queue_holds_are_kept_and_one_more_ends_it() -> None:
    full, beyond = UpdateStream(limit=3), UpdateStream(limit=3)
    for stream, count in ((full, 3), (beyond, 4)):
        for _ in range(count):
            stream.push([b"."])
    assert (full.overflowed, beyond.overflowed) == (False, True)
    full.close()
    assert len([message async for message in full]) == 3
    with pytest.raises(StreamOverflowError):
        await anext(beyond.__aiter__())
    beyond.push([b"."])
    assert not beyond._queue


async def test_a_reader_that_waits_hears_of_the_overflow() -> None:
    stream = UpdateStream(limit=1)
    reading = spawn(read(stream, []), name="reader")
    await turns()
    stream.push([b"1", b"2"])
    with pytest.raises(StreamOverflowError):
        await asyncio.wait_for(reading, 10)


async def test_a_reader_that_waits_hears_of_the_end() -> None:
    stream = UpdateStream()
    reading = spawn(read(stream, []), name="reader")
    await turns()
    stream.close()
    await asyncio.wait_for(reading, 10)


async def test_a_reader_that_was_cancelled_is_in_nobodys_way() -> None:
    stream = UpdateStream()
    reading = spawn(read(stream, []), name="reader")
    await turns()
    await cancel_all([reading])
    stream.push([b"1"])
    stream.close()
    assert [message async for message in stream] == [b"1"]
