"""Exponential back-off with jitter, for whoever tries again: control streams, DNS, tasks that failed.

The random source and the clock are passed in, so that a test can say what comes next.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from linkerd2_py.base.clock import Clock


class BackoffRange(NamedTuple):
    """Shortest and longest delay in seconds; `jitter` is the most that is added, as a share of the delay."""

    min_s: float
    max_s: float
    jitter: float


def unit_random() -> float:
    """Uniform in [0, 1); the module `random` would be 0.15 MiB."""
    return int.from_bytes(os.urandom(4)) / 2**32


class Backoff:
    """One series of tries. A try that lasted longer than the longest delay starts the series anew, so
    that a stream which lived for an hour is not punished for failures of yesterday.
    """

    __slots__ = ("_clock", "_delay_s", "_random", "_range", "_started")

    def __init__(self, limits: BackoffRange, *, source: Callable[[], float], clock: Clock) -> None:
        self._range = limits
        self._random = source
        self._clock = clock
        self._delay_s = limits.min_s
        self._started = clock.monotonic()

    def begin(self) -> None:
        """A try starts now."""
        self._started = self._clock.monotonic()

    def next_delay_s(self) -> float:
        """Seconds to wait before the next try: doubled each time, plus up to `jitter` of itself."""
        if self._clock.monotonic() - self._started > self._range.max_s:
            self.reset()
        delay = self._delay_s
        self._delay_s = min(self._range.max_s, delay * 2)
        return delay * (1 + self._range.jitter * self._random())

    def reset(self) -> None:
        """It worked: start from the shortest delay again."""
        self._delay_s = self._range.min_s
