"""How many requests a second are let in."""

from cython cimport final
from libc.stdint cimport int64_t
from linkerd2_py._ext.core.pace cimport Pace
from linkerd2_py._ext.metrics.series cimport Counter

@final
cdef class Rate:
    """Shared by whoever the limit is for."""
    cdef Pace pace

@final
cdef class Limit:
    """A rate, as one client meets it."""
    cdef Rate rate                    # owned
    cdef bytes refusal                # what is answered beyond it
    cdef Counter refused              # owned, or None

# The first of `limits` (of Limit) that has no room for one more request; None: all have, and each has one
# less now. A request that is refused takes nothing from anybody.
cdef Limit take_from_all(tuple limits, int64_t now)
