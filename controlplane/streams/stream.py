"""The queue of one subscriber: encoded messages in, an asynchronous iteration out, or a call that is sent
them.

It is bounded. A subscriber that does not keep up is ended rather than waited for or buffered without limit;
its proxy reconnects and begins with a fresh snapshot.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

from linkerd2_py._ext.route.call import Call, send_all

# As Linkerd's destination.
QUEUE_LIMIT = 100


class StreamOverflowError(Exception):
    """The subscriber fell behind by more than its queue holds."""


class UpdateStream:
    """Messages for one subscriber, in order, until it overflows or is closed."""

    __slots__ = ("_call", "_closed", "_limit", "_on_end", "_queue", "_reader", "overflowed")

    def __init__(self, *, limit: int = QUEUE_LIMIT) -> None:
        self._limit = limit
        # Short, and most are empty: a list holds nothing then.
        self._queue: list[bytes] = []
        # Where messages go at once, and are bounded by the server.
        self._call: Call | None = None
        self._on_end: Callable[[], object] | None = None
        # Done when the one who reads is to look again.
        self._reader: asyncio.Future[None] | None = None
        self._closed = False
        self.overflowed = False

    @property
    def queued(self) -> int:
        """How many messages were not read yet."""
        return len(self._queue)

    def push(self, messages: Sequence[bytes]) -> None:
        """Queue messages; beyond the limit the queue is dropped and the iteration ends."""
        if self._closed or self.overflowed:
            return
        if self._call:
            if not self._call.send(messages):
                self._overflow()
            return
        self._queue.extend(messages)
        if len(self._queue) > self._limit:
            self._overflow()
        self._wake()

    def close(self) -> None:
        """End the iteration after what is queued."""
        self._closed = True
        self._wake()

    def deliver(self, call: Call, *, on_end: Callable[[], object]) -> None:
        """Send `call` what is queued and, from now on, whatever comes. `on_end` is called soon after the
        stream was closed, or has overflowed.
        """
        queued, self._queue = self._queue, []
        self._call, self._on_end = call, on_end
        if queued and not call.send(queued):
            self._overflow()
        elif self._closed:
            self._wake()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield messages as they come; raises `StreamOverflowError` when the subscriber was too slow."""
        while True:
            while self._queue:
                yield self._queue.pop(0)
            if self.overflowed:
                raise StreamOverflowError
            if self._closed:
                return
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader

    def _overflow(self) -> None:
        self.overflowed = True
        self._queue.clear()
        self._wake()

    def _wake(self) -> None:
        if self._on_end and (self._closed or self.overflowed):
            # Whoever closes it may be walking over all there are.
            asyncio.get_running_loop().call_soon(self._on_end)
            self._on_end = None
        # One that was cancelled reads no more.
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def batched(streams: Sequence[UpdateStream], count: int) -> Iterator[Sequence[UpdateStream]]:
    """So many at a time."""
    return (streams[at : at + count] for at in range(0, len(streams), count))


def push_all(streams: Iterable[UpdateStream], messages: Sequence[bytes]) -> list[UpdateStream]:
    """The same to many; those that are ended by it, for they were too slow."""
    calls: dict[Call, UpdateStream] = {}
    ended = []
    for stream in streams:
        if stream._call and not stream._closed and not stream.overflowed:  # noqa: SLF001  # of this module
            calls[stream._call] = stream  # noqa: SLF001
            continue
        stream.push(messages)
        if stream.overflowed:
            ended.append(stream)
    for call in send_all(list(calls), messages):
        calls[call]._overflow()  # noqa: SLF001
        ended.append(calls[call])
    return ended
