"""How long the exchanges of a route may take."""

from cython cimport final
from libc.stdint cimport int64_t

@final
cdef class Timeouts:
    """Immutable; ns, 0: no limit."""
    cdef readonly int64_t request_ns      # from its head to the end of its response, with all that is tried
    cdef readonly int64_t head_ns         # from its head to the head of its response, with all that is tried
    cdef readonly int64_t response_ns     # from the end of a request to the end of its response
    cdef int64_t soonest_ns               # nothing is over sooner than that after a head; 0: perhaps
    cdef readonly int64_t idle_ns         # between two pieces of a message, in either direction
