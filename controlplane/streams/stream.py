"""The queue of one subscriber: encoded messages in, an asynchronous iteration out.

It is bounded. A subscriber that does not keep up is ended rather than waited for or buffered without limit;
its proxy reconnects and begins with a fresh snapshot.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

# As Linkerd's destination.
QUEUE_LIMIT = 100


class StreamOverflowError(Exception):
    """The subscriber fell behind by more than its queue holds."""


class UpdateStream:
    """Messages for one subscriber, in order, until it overflows or is closed."""

    __slots__ = ("_closed", "_limit", "_queue", "_reader", "overflowed")

    def __init__(self, *, limit: int = QUEUE_LIMIT) -> None:
        self._limit = limit
        self._queue: deque[bytes] = deque()
        # Done when the one who reads is to look again.
        self._reader: asyncio.Future[None] | None = None
        self._closed = False
        self.overflowed = False

    @property
    def queued(self) -> int:
        """How many messages were not read yet."""
        return len(self._queue)

    def push(self, messages: Iterable[bytes]) -> None:
        """Queue messages; beyond the limit the queue is dropped and the iteration ends."""
        if self._closed or self.overflowed:
            return
        self._queue.extend(messages)
        if len(self._queue) > self._limit:
            self.overflowed = True
            self._queue.clear()
        self._wake()

    def close(self) -> None:
        """End the iteration after what is queued."""
        self._closed = True
        self._wake()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield messages as they come; raises `StreamOverflowError` when the subscriber was too slow."""
        while True:
            while self._queue:
                yield self._queue.popleft()
            if self.overflowed:
                raise StreamOverflowError
            if self._closed:
                return
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader

    def _wake(self) -> None:
        # One that was cancelled reads no more.
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
