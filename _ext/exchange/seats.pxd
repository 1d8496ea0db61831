"""How many requests may be in flight at once: each that is let in has a seat until it is over."""

from cython cimport final
from linkerd2_py._ext.metrics.series cimport Counter

@final
cdef class Seats:
    """Shared by whoever a limit is for; another limit for the same clients goes on with the same ones."""
    cdef object __weakref__
    cdef readonly int taken

@final
cdef class SeatLimit:
    """So many seats, as one client meets them."""
    cdef Seats seats                  # owned
    cdef int most
    cdef bytes refusal                # what is answered beyond it, with this status
    cdef int status
    cdef Counter refused              # owned, or None

@final
cdef class Seating:
    """All limits that one client meets. Immutable. Whoever occupies a seat of each gives them back, once."""
    cdef tuple limits                 # of SeatLimit
    # The first that has no seat left, and it counts the refusal; None: all have one.
    cdef SeatLimit full(self)
    # Whether there is one or not: what has become something else goes on.
    cdef int occupy(self) noexcept
    cdef int give_back(self) noexcept
