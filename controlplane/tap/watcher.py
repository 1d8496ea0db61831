"""The queue of one watcher: it is bounded, and nobody ever waits for its reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Self

from linkerd2_py.controlplane.tap.events import Ended, Lost, Told, Watching

QUEUE_LIMIT: Final = 2_000
"""Events: at 100 requests a second those of six seconds."""


class Watcher:
    """A `Watch`. `on_close` is called once, when nobody watches any more; `on_lost` with every loss."""

    def __init__(
        self,
        *,
        on_close: Callable[[Watcher], None],
        on_lost: Callable[[int], None],
        limit: int = QUEUE_LIMIT,
    ) -> None:
        self._on_close: Callable[[Watcher], None] | None = on_close
        self._on_lost = on_lost
        self._limit = limit
        self._events: deque[Told] = deque()
        # Said before events, and only as it is now.
        self._watching: Watching | None = None
        self._lost = 0
        self._ended: Ended | None = None
        self._over = False
        self._news = asyncio.Event()

    def put(self, event: Told) -> None:
        """One more event; lost where too many wait."""
        if len(self._events) >= self._limit:
            self.lose(1)
            return
        self._events.append(event)
        self._news.set()

    def lose(self, events: int) -> None:
        """Some will never come."""
        self._lost += events
        self._on_lost(events)
        self._news.set()

    def show(self, watching: Watching) -> None:
        """Who is watched now."""
        self._watching = watching
        self._news.set()

    def end(self, reason: str) -> None:
        """Nothing comes after what waits."""
        self._ended = self._ended or {"notice": "ended", "reason": reason}
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Told:
        while (told := self._next()) is None:
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return told

    async def within(self, seconds: float) -> Sequence[Told] | None:
        """See `Watch`."""
        try:
            async with asyncio.timeout(seconds):
                told = [await anext(self)]
        except TimeoutError:
            return None
        except StopAsyncIteration:
            return ()
        while (more := self._next()) is not None:
            told.append(more)
        return told

    async def aclose(self) -> None:
        """See `Watch`."""
        self._over = True
        self._events.clear()
        self._watching, self._lost, self._ended = None, 0, None
        self._news.set()
        told, self._on_close = self._on_close, None
        if told is not None:
            told(self)

    def _next(self) -> Told | None:
        if self._watching is not None:
            watching, self._watching = self._watching, None
            return watching
        if self._lost:
            lost: Lost = {"notice": "lost", "events": self._lost}
            self._lost = 0
            return lost
        if self._events:
            return self._events.popleft()
        if self._ended is not None:
            ended, self._ended = self._ended, None
            self._over = True
            return ended
        return None
