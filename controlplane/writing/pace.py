"""When an object may be written again: another who writes it, too, must not make us write without end."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from linkerd2_py.base.backoff import Backoff, BackoffRange, unit_random
from linkerd2_py.base.clock import Clock

T = TypeVar("T", bound=Hashable)

PAUSES: Final = BackoffRange(min_s=1.0, max_s=300.0, jitter=0.5)


class Pace(Generic[T]):
    """Remembers what was written, or could not be, until it is found to be settled."""

    def __init__(
        self,
        *,
        clock: Clock,
        pauses: BackoffRange = PAUSES,
        random: Callable[[], float] = unit_random,
    ) -> None:
        self._clock = clock
        self._pauses = pauses
        self._random = random
        self._tries: dict[T, Backoff] = {}
        self._until: dict[T, float] = {}

    def __len__(self) -> int:
        """How many are not settled."""
        return len(self._until)

    def tried(self, subject: T, *, pause_s: float = 0.0) -> None:
        """It was written, or could not be: the next try is later each time, and not before `pause_s`."""
        backoff = self._tries.setdefault(
            subject, Backoff(self._pauses, source=self._random, clock=self._clock)
        )
        backoff.begin()
        self._until[subject] = self._clock.monotonic() + max(backoff.next_delay_s(), pause_s)

    def settled(self, subject: T) -> None:
        """Nothing is to be written: who comes next is not held for what was."""
        self._tries.pop(subject, None)
        self._until.pop(subject, None)

    def may_try(self, subject: T) -> bool:
        """Whether it may be written now."""
        return self._until.get(subject, 0.0) <= self._clock.monotonic()

    def due(self) -> list[T]:
        """Those that are to be looked at again now."""
        now = self._clock.monotonic()
        return [subject for subject, until in self._until.items() if until <= now]

    def next_in_s(self) -> float | None:
        """Until the next is due; None where there is none."""
        if not self._until:
            return None
        return max(0.0, min(self._until.values()) - self._clock.monotonic())
