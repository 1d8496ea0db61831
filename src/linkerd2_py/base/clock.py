"""Time as an argument: what reads the time takes a `Clock`, so that a test can turn it by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where elapsed and calendar time come from."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    def wall(self) -> float:
        """Seconds since the Unix epoch; may jump."""


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.clock_gettime(time.CLOCK_REALTIME)


class ManualClock:
    """A clock that moves only when told; both readings advance together unless the calendar is set."""

    __slots__ = ("_elapsed", "_epoch")

    def __init__(self, *, epoch: float = 1_700_000_000.0) -> None:
        self._elapsed = 0.0
        self._epoch = epoch

    def monotonic(self) -> float:
        return self._elapsed

    def wall(self) -> float:
        return self._epoch + self._elapsed

    def step_calendar(self, seconds: float) -> None:
        """Set the calendar forward or back; what has elapsed stays."""
        self._epoch += seconds

    def advance(self, seconds: float) -> None:
        """Move forward; ValueError for a negative step, which no real clock makes."""
        if seconds < 0:
            raise ValueError("a clock does not go back")
        self._elapsed += seconds
