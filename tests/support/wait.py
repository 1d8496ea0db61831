"""Waiting for a condition with a deadline: what tests use instead of sleeping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 10.0
_POLL_S = 0.01


def eventually(condition: Callable[[], T], *, deadline_s: float = DEADLINE_S, what: str = "") -> T:
    """First truthy result of `condition`; AssertionError naming `what` when the deadline passes."""
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}")
        time.sleep(_POLL_S)
    return found


async def eventually_async(
    condition: Callable[[], T | Awaitable[T]], *, deadline_s: float = DEADLINE_S, what: str = ""
) -> T:
    """`eventually` for asyncio; `condition` may be a plain or a coroutine function."""
    end = time.monotonic() + deadline_s
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}")
        await asyncio.sleep(_POLL_S)
