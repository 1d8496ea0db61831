"""Long computations in slices: a loop over many items that lets the event loop turn now and then.

All of them together get one slice of each turn, however many there are: what is long makes only itself late.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from time import perf_counter
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

SLICE_S: Final = 0.01
"""A fifth of the longest stall that may be, for the machine may be busy and an item slow."""


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """The items one by one. Those of a container are what it had at the beginning, for it may change while
    the event loop turns; an iterator makes each item when its turn comes, and must not walk what may change.
    """
    turn = _turn_of(asyncio.get_running_loop())
    for item in items if isinstance(items, Iterator) else tuple(items):
        # Nothing tells of a turn that begins but that the loop comes by.
        while turn.is_used_up():  # noqa: ASYNC110
            await asyncio.sleep(0)
        yield item


async def next_slice() -> None:
    """Wait until this turn of the event loop has time for a step of something long."""
    turn = _turn_of(asyncio.get_running_loop())
    while turn.is_used_up():  # noqa: ASYNC110  # as above
        await asyncio.sleep(0)


class _Turn:
    """One turn of an event loop after the other, and until when slices may use it."""

    def __init__(self) -> None:
        self._ends: float | None = None

    def is_used_up(self) -> bool:
        now = perf_counter()
        if self._ends is None:
            self._ends = now + SLICE_S
            # Called in the next turn, before whoever waits for one.
            asyncio.get_running_loop().call_soon(self._begin)
        return now >= self._ends

    def _begin(self) -> None:
        self._ends = None


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turn] = WeakKeyDictionary()


def _turn_of(loop: asyncio.AbstractEventLoop) -> _Turn:
    if loop not in _turns:
        # It must not hold the loop, or neither would ever go.
        _turns[loop] = _Turn()
    return _turns[loop]
