"""Failure accrual: when an endpoint's failures take it out of its set (a circuit breaker), for how long, and
what brings it back.

    state      what goes there          leaves it by
    CLOSED     everything               failures in a row, or too low a share of successes → OPEN
    OPEN       nothing                  the end of its back-off → PROBATION
    PROBATION  one exchange, the probe  its begin → PROBING
    PROBING    nothing more             success → CLOSED, failure or no word → OPEN, for twice as long; an end
                                        that says nothing → PROBATION

Time and chance come in as arguments: nothing here looks at a clock, holds a timer or knows a set. Where
nothing better is left a set may use an endpoint that is out; a success of any exchange that was sent since it
is out brings it back.
"""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    BUCKETS = 10               # of the window in which successes are counted

# What an exchange says of its endpoint.
cdef enum Verdict:
    VERDICT_NOTHING            # its client ended it, or the fault is ours
    VERDICT_SUCCESS
    VERDICT_LIMITED            # 429, RESOURCE_EXHAUSTED: no failure, but no success of those that are counted
    VERDICT_FAILURE

cdef enum BreakerState:
    BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBATION, BREAKER_PROBING

# What follows from what a breaker hears, for whoever holds it.
cdef enum Step:
    STEP_NONE
    # It failed enough: to be opened, if its set can spare it. If not it says so again.
    STEP_TRIP
    STEP_REOPEN                # its probe failed: to be opened
    STEP_CLOSE                 # closed
    STEP_WAIT                  # waits for a probe

@final
cdef class Accrual:
    """What is agreed for all endpoints of a target. Immutable."""
    cdef readonly uint32_t max_failures      # in a row; 0: any number
    cdef readonly uint32_t threshold         # of successes, in ten thousandths; 0: they are not counted
    cdef readonly int64_t window_ns          # in which they are
    cdef readonly uint32_t min_requests      # in the window, before their share says anything
    cdef readonly bint strict                # a probe that is told to slow down has failed
    cdef readonly int64_t min_backoff_ns, max_backoff_ns
    cdef readonly double jitter              # by which share of it a back-off is longer, at most
    cdef readonly bint heeds_hold            # an endpoint that asks to be left alone for longer is
    cdef readonly uint32_t min_ready         # endpoints that stay in the set whatever they do
    cdef bint same(self, Accrual other) noexcept

cdef struct Bucket:
    uint32_t successes, all

@final
cdef class Breaker:
    """Of one endpoint."""
    cdef readonly Accrual accrual            # owned with others
    cdef BreakerState state
    cdef bint by_rate                        # why it tripped
    cdef bint kept                           # it fails enough, and its set could not spare it: that was told
    cdef uint32_t failures                   # in a row, while closed
    cdef uint32_t opened                     # times since it was closed
    cdef int64_t backoff_ns                  # the latest, without what chance added
    # Exchanges that were sent by then say nothing while it is not closed.
    cdef int64_t tripped_ns
    cdef int64_t probed_ns                   # when the latest probe was sent
    cdef Bucket[BUCKETS] buckets
    cdef int current                         # bucket
    cdef int64_t begun_ns                    # when that began
    cdef Step hear(self, Verdict verdict, int64_t sent, int64_t now) noexcept
    # For how long. hold_ns: how long the endpoint asked to be left alone, or 0; chance: from 0 to 1.
    cdef int64_t open(self, int64_t hold_ns, double chance, int64_t now) noexcept
    cdef int probe(self, int64_t now) noexcept           # PROBATION → PROBING
    # The back-off is over, or has passed once more without the probe's end. `answered`: its response has
    # begun.
    cdef Step on_time(self, bint answered, int64_t now) noexcept

    # -- private
    cdef bint is_enough(self, Verdict verdict, int64_t now) noexcept
    cdef bint is_rate_low(self, bint success, int64_t now) noexcept
    cdef int roll(self, int64_t now) noexcept
    cdef Step close(self, int64_t now) noexcept

cdef Breaker new_breaker(Accrual accrual, int64_t now)
cdef str state_name(Breaker breaker)                     # "closed", "open", "probation"
