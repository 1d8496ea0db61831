"""One value for many readers: asked for once at a time, and again only when it has grown old."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from linkerd2_py.base.clock import Clock

T = TypeVar("T")


class Shared(Generic[T]):
    """What `ask` answers, for up to `fresh_s` seconds; whoever comes while it is being asked waits
    for the same answer. A failure is everybody's who waited, and nobody's later.
    """

    def __init__(
        self, ask: Callable[[], Coroutine[Any, Any, T]], *, fresh_s: float, clock: Clock
    ) -> None:
        self._ask = ask
        self._fresh_s = fresh_s
        self._clock = clock
        self._asking: asyncio.Task[T] | None = None
        self._asked_at = 0.0

    async def get(self) -> T:
        """The value; raises what `ask` raised. A reader that is cancelled leaves the others alone."""
        return await asyncio.shield(self._current())

    def _current(self) -> asyncio.Task[T]:
        if self._asking is None or self._is_old(self._asking):
            self._asked_at = self._clock.monotonic()
            # Not spawned: its failure is its readers' to report, and we are its owner.
            self._asking = asyncio.get_running_loop().create_task(self._ask(), name="shared")
        return self._asking

    def _is_old(self, asking: asyncio.Task[T]) -> bool:
        if not asking.done():
            return False
        failed = asking.cancelled() or asking.exception() is not None
        return failed or self._clock.monotonic() - self._asked_at >= self._fresh_s
