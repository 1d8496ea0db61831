"""Now, on the two clocks that answers are made by."""

from typing import NamedTuple, Self

from linkerd2_py.base.clock import Clock


class Moment(NamedTuple):
    """`wall` is the calendar's (Unix seconds), which may step; `at_ms` counts on the clock that samples are kept by, which
    never goes back.
    """

    wall: float
    at_ms: int

    @classmethod
    def of(cls, clock: Clock) -> Self:
        """This one."""
        return cls(clock.wall(), int(clock.monotonic() * 1000))
