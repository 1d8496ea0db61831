"""Processor time of something that happens on an event loop, and the longest turn that it made of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Both in processor time, which other programs on the machine cannot lengthen."""

    cpu_s: float
    stall_s: float


class _Turns:
    """Times each turn of the running loop."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._began_s = time.thread_time()
        self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def end(self) -> None:
        """Time no more; what ran until now belongs to the last turn."""
        self._handle.cancel()
        self._look()

    def _turn(self) -> None:
        self._look()
        self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def _look(self) -> None:
        now_s = time.thread_time()
        self.longest_s = max(self.longest_s, now_s - self._began_s)
        self._began_s = now_s


async def cost_of(work: Callable[[], Awaitable[None]]) -> Cost:
    """Do it on a loop that has nothing else to do."""
    turns = _Turns()
    began_s = time.process_time()
    await work()
    cpu_s = time.process_time() - began_s
    turns.end()
    return Cost(cpu_s, turns.longest_s)
