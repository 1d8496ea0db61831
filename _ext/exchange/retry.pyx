# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What is said of a route once; what becomes of one exchange stands in its course."""

from linkerd2_py._ext.exchange.kept cimport KEPT_BYTES

cdef enum:
    TENTHS = 10
    MOST_RETRIES = 65535              # as the wire has it


cdef int add_statuses(Conditions* conditions, int first, int last) noexcept nogil:
    cdef int status
    for status in range(max(first, 0), min(last, <int> MOST_STATUS) + 1):
        conditions.statuses[status >> 6] |= <uint64_t> 1 << (status & 63)
    return 0


cdef class Budget:
    def __init__(self, *, double ratio, uint32_t least, int64_t ttl_ns):
        if not 0 <= ratio <= 1000 or not 1_000_000_000 <= ttl_ns <= 60_000_000_000 or least > 2**31 - 1:
            raise ValueError(f"Budget: {ratio} of all, {least} a second, for {ttl_ns} ns")
        self.ratio = ratio
        self.least = least
        self.ttl_ns = ttl_ns

    cdef int earn(self, int64_t now) noexcept:
        self.turn(now)
        self.earned[self.turned % TENTHS] += 1
        return 0

    cdef bint spend(self, int64_t now) noexcept:
        cdef uint64_t earned = 0, spent = 0
        cdef int i
        self.turn(now)
        for i in range(TENTHS):
            earned += self.earned[i]
            spent += self.spent[i]
        if spent + 1 > self.ratio * earned + self.least * (self.ttl_ns / 1e9):
            return False
        self.spent[self.turned % TENTHS] += 1
        return True

    cdef int turn(self, int64_t now) noexcept:
        """Forgets the tenths that are over."""
        cdef int64_t current = now // (self.ttl_ns // TENTHS)
        cdef int64_t i
        for i in range(max(self.turned + 1, current - TENTHS + 1), current + 1):
            self.earned[i % TENTHS] = self.spent[i % TENTHS] = 0
        self.turned = max(current, self.turned)
        return 0


cdef class Retry:
    def __init__(
        self, *, statuses=(), codes=(), int limit=1, int64_t timeout_ns=0, size_t most_bytes=KEPT_BYTES,
        int64_t pause_ns=0, int64_t longest_pause_ns=0, double jitter=0.0, Budget budget=None,
        RetryMetrics metrics=None,
    ):
        if not 0 <= limit <= MOST_RETRIES or timeout_ns < 0:
            raise ValueError(f"Retry: {limit} times, {timeout_ns} ns each")
        if not 0 <= pause_ns <= longest_pause_ns or not 0 <= jitter <= 100:
            raise ValueError(f"Retry: pauses of {pause_ns} to {longest_pause_ns} ns, {jitter} more")
        for first, last in statuses:
            if not 1 <= first <= last <= 599:
                raise ValueError(f"Retry: statuses {first} to {last}")
            add_statuses(&self.conditions, first, last)
        for code in codes:
            if not 0 <= code < GRPC_CODES:
                raise ValueError(f"Retry: gRPC code {code}")
            self.conditions.codes |= 1 << <int> code
        self.limit = limit
        self.timeout_ns = timeout_ns
        self.most_bytes = min(most_bytes, <size_t> KEPT_BYTES)
        self.pause_ns = pause_ns
        self.longest_pause_ns = longest_pause_ns
        self.jitter = jitter
        self.budget = budget
        self.metrics = metrics
