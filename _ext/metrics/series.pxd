"""What the registry can hold: a base with label text and idle time, and plain counters, gauges and
distributions."""

from cython cimport final
from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #ifndef L5D_METRICS
    #define L5D_METRICS 1
    #endif
    """
    # 0 in one build only, which shows what counting costs: there nothing of traffic is counted.
    const int L5D_METRICS


cdef class Series:
    cdef readonly bytes labels    # pre-rendered label text without braces
    cdef int64_t touched_ns       # last change; 0 = never
    # Before the idle check: lets series without a clock notice a change.
    cdef int settle(self, int64_t now) noexcept

cdef class Counter(Series):
    cdef uint64_t count
    cdef uint64_t settled         # count at the last settle

cdef class Gauge(Series):
    cdef double level
    cdef double settled           # level at the last settle

@final
cdef class Distribution(Series):
    """How values are spread over a few buckets, such as seconds over 0.001 and 0.1: a histogram."""
    cdef tuple texts              # of `le`, one for each bucket; shared by its family
    cdef double* bounds           # owned, freed in __dealloc__; in order, without +Inf
    cdef uint64_t* counts         # owned, freed in __dealloc__; one more than bounds, not cumulative
    cdef int bound_count
    cdef double sum
    cdef uint64_t settled         # how many there were at the last settle
    cdef uint64_t total(self) noexcept
    cdef inline int observe(self, double value) noexcept:
        cdef int at = 0
        while at < self.bound_count and self.bounds[at] < value:
            at += 1
        self.counts[at] += 1
        self.sum += value
        return 0

    # Once, by the registry. MemoryError.
    cdef int divide(self, tuple bounds, tuple texts) except -1
