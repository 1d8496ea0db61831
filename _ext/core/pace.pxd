"""So many in a second, evenly; after a quiet time so many at once (GCRA: the generic cell rate algorithm)."""

from libc.stdint cimport int64_t

cdef struct Pace:
    int64_t interval_ns           # one in so long
    int64_t burst_ns              # how far ahead of that it may be
    int64_t due_ns                # when the next would come if all came evenly

cdef inline bint is_ahead(const Pace* pace, int64_t now) noexcept nogil:
    """One more now would be too many."""
    return pace.due_ns - now > pace.burst_ns

cdef inline void take_one(Pace* pace, int64_t now) noexcept nogil:
    pace.due_ns = max(pace.due_ns, now) + pace.interval_ns
