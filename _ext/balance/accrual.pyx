# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The states of one breaker, and the share of successes in a window that moves in steps of a tenth."""

from libc.math cimport isfinite
from libc.string cimport memset

cdef enum:
    WHOLE = 10000
    DOUBLINGS_MAX = 30         # more would overflow, and is beyond any longest back-off long before

cdef int64_t WINDOW_MIN_NS = 10000000
cdef int64_t TEN_SECONDS_NS = 10000000000
# Beyond it sums of times would overflow.
cdef int64_t LONGEST_NS = <int64_t> 1 << 61


cdef class Accrual:
    def __init__(
        self, *, uint32_t max_failures=0, uint32_t threshold=0, int64_t window_ns=TEN_SECONDS_NS,
        uint32_t min_requests=0, bint strict=False, int64_t min_backoff_ns, int64_t max_backoff_ns,
        double jitter=0.0, bint heeds_hold=False, uint32_t min_ready=0,
    ):
        if threshold > WHOLE or not 0 <= min_backoff_ns <= max_backoff_ns <= LONGEST_NS:
            raise ValueError("Accrual: threshold up to 10000, back-off from its least to its most")
        if not isfinite(jitter) or jitter < 0 or max_backoff_ns == 0 or window_ns < 0:
            raise ValueError("Accrual: jitter of 0 or more, and times that are longer than nothing")
        self.max_failures = max_failures
        self.threshold = threshold
        self.window_ns = min(max(window_ns, WINDOW_MIN_NS), LONGEST_NS)
        self.min_requests = min_requests
        self.strict = strict
        self.min_backoff_ns = min_backoff_ns
        self.max_backoff_ns = max_backoff_ns
        self.jitter = jitter
        self.heeds_hold = heeds_hold
        self.min_ready = min_ready

    cdef bint same(self, Accrual other) noexcept:
        return (
            self.max_failures == other.max_failures and self.threshold == other.threshold
            and self.window_ns == other.window_ns and self.min_requests == other.min_requests
            and self.strict == other.strict and self.min_backoff_ns == other.min_backoff_ns
            and self.max_backoff_ns == other.max_backoff_ns and self.jitter == other.jitter
            and self.heeds_hold == other.heeds_hold and self.min_ready == other.min_ready
        )


cdef Breaker new_breaker(Accrual accrual, int64_t now):
    cdef Breaker made = Breaker.__new__(Breaker)
    made.accrual = accrual
    made.begun_ns = now
    return made


cdef str state_name(Breaker breaker):
    if breaker.state == BREAKER_CLOSED:
        return "closed"
    return "open" if breaker.state == BREAKER_OPEN else "probation"


cdef class Breaker:

    cdef Step hear(self, Verdict verdict, int64_t sent, int64_t now) noexcept:
        cdef bint probed = self.state == BREAKER_PROBING and sent >= self.probed_ns
        if self.state == BREAKER_CLOSED:
            return STEP_TRIP if self.is_enough(verdict, now) else STEP_NONE
        if sent <= self.tripped_ns:
            return STEP_NONE
        if verdict == VERDICT_SUCCESS or (verdict == VERDICT_LIMITED and not self.accrual.strict):
            return self.close(now)
        if probed and verdict == VERDICT_NOTHING:
            self.state = BREAKER_PROBATION
            return STEP_WAIT
        return STEP_REOPEN if probed else STEP_NONE

    cdef int64_t open(self, int64_t hold_ns, double chance, int64_t now) noexcept:
        """From the least, twice as long each time, and up to a share longer, so that the endpoints of one
        outage are not all tried at the same moment; never longer than the most."""
        cdef Accrual agreed = self.accrual
        cdef int64_t base = agreed.min_backoff_ns, most = agreed.max_backoff_ns
        cdef uint32_t times
        for times in range(min(self.opened, <uint32_t> DOUBLINGS_MAX)):
            base = min(base * 2, most)
        if self.state == BREAKER_CLOSED:
            self.tripped_ns = now
        self.opened += 1
        self.state = BREAKER_OPEN
        self.backoff_ns = base
        base += <int64_t> min(base * agreed.jitter * chance, <double> (most - base))
        return max(base, min(hold_ns, most)) if agreed.heeds_hold else base

    cdef int probe(self, int64_t now) noexcept:
        self.state = BREAKER_PROBING
        self.probed_ns = now
        return 0

    cdef Step on_time(self, bint answered, int64_t now) noexcept:
        if self.state == BREAKER_OPEN:
            self.state = BREAKER_PROBATION
            return STEP_WAIT
        if self.state == BREAKER_PROBING:
            return self.close(now) if answered else STEP_REOPEN
        return STEP_NONE

    cdef bint is_enough(self, Verdict verdict, int64_t now) noexcept:
        """The row is looked at first: where both are true it is the reason."""
        cdef Accrual agreed = self.accrual
        cdef bint rate_low
        if verdict == VERDICT_NOTHING:
            return False
        if verdict != VERDICT_FAILURE:
            self.failures = 0
        elif self.failures < agreed.max_failures:
            self.failures += 1
        rate_low = agreed.threshold > 0 and self.is_rate_low(verdict == VERDICT_SUCCESS, now)
        self.by_rate = not (agreed.max_failures and self.failures >= agreed.max_failures)
        if self.by_rate and not rate_low:
            self.kept = False
            return False
        return True

    cdef bint is_rate_low(self, bint success, int64_t now) noexcept:
        cdef uint64_t successes = 0, every = 0
        cdef int i
        self.roll(now)
        self.buckets[self.current].all += 1
        self.buckets[self.current].successes += success
        for i in range(BUCKETS):
            successes += self.buckets[i].successes
            every += self.buckets[i].all
        return every >= self.accrual.min_requests and successes * WHOLE < every * self.accrual.threshold

    cdef int roll(self, int64_t now) noexcept:
        """Empties the buckets whose time came since the last one. Their bounds do not move with what is
        counted."""
        cdef int64_t width = self.accrual.window_ns // BUCKETS
        cdef int64_t steps = max(0, now - self.begun_ns) // width
        cdef int64_t i
        for i in range(min(steps, <int64_t> BUCKETS)):
            self.current = (self.current + 1) % BUCKETS
            self.buckets[self.current].all = self.buckets[self.current].successes = 0
        self.begun_ns += steps * width
        return 0

    cdef Step close(self, int64_t now) noexcept:
        """As if it were new."""
        self.state = BREAKER_CLOSED
        self.kept = False
        self.failures = self.opened = 0
        self.begun_ns = now
        memset(self.buckets, 0, sizeof(self.buckets))
        return STEP_CLOSE
