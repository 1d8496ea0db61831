"""Back-off as this process has it: by the machine's clock and its chance."""

from __future__ import annotations

from collections.abc import Callable

from linkerd2_py.base.backoff import Backoff, BackoffRange, unit_random
from linkerd2_py.base.clock import Clock

BackoffMaker = Callable[[], Backoff]


def backoff_maker(limits: BackoffRange, *, clock: Clock) -> BackoffMaker:
    """What begins a new series of tries."""
    return lambda: Backoff(limits, source=unit_random, clock=clock)
