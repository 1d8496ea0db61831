"""Waiting for a condition with a deadline: what tests use instead of sleeping.

A deadline is there for what never comes, so it is stretched where the machine has more to do than this run:
`patience` tells how much.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 10.0
_POLL_S = 0.01


_MOST_PATIENCE = 20.0


def patience() -> float:
    """How many times longer than on an idle machine things may take: the processes that want to run, for each
    processor.
    """
    with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123  # a fixture of every test asks
        lately, _, _, now, *_ = file.read().split()
    wanting = max(float(lately), float(now.partition("/")[0]))
    return min(max(1.0, wanting / len(os.sched_getaffinity(0))), _MOST_PATIENCE)


def within(seconds: float) -> asyncio.Timeout:
    """`asyncio.timeout` for what takes this long at most on an idle machine."""
    return asyncio.timeout(seconds * patience())


async def in_time(awaitable: Awaitable[T], seconds: float) -> T:
    """`asyncio.wait_for` for what takes this long at most on an idle machine."""
    return await asyncio.wait_for(awaitable, seconds * patience())


def eventually(condition: Callable[[], T], *, deadline_s: float = DEADLINE_S, what: str = "") -> T:
    """First truthy result of `condition`; AssertionError naming `what` when the deadline passes."""
    end = time.monotonic() + deadline_s * patience()
    while not (found := condition()):
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}")
        time.sleep(_POLL_S)
    return found


async def eventually_async(
    condition: Callable[[], T | Awaitable[T]], *, deadline_s: float = DEADLINE_S, what: str = ""
) -> T:
    """`eventually` for asyncio; `condition` may be a plain or a coroutine function."""
    end = time.monotonic() + deadline_s * patience()
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}")
        await asyncio.sleep(_POLL_S)
