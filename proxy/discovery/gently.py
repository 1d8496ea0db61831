"""Long work that gives way to traffic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

_SLICE_S: Final = 0.001

_Item = TypeVar("_Item")


async def gently(items: Iterable[_Item]) -> AsyncIterator[_Item]:
    """One after the other, with a turn of the loop for others after each slice."""
    until = time.perf_counter() + _SLICE_S
    for item in items:
        if time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + _SLICE_S
        yield item
