"""What inbound policy says to one client about its requests of one route."""

from cython cimport final
from linkerd2_py._ext.metrics.series cimport Counter

@final
cdef class Passage:
    """Immutable, and shared by all connections of that client to that port."""
    cdef bytes refusal                # why they are not let in; None: they are
    cdef int status                   # that goes with it
    cdef bint limited                 # limits on the port's requests hold for these
    cdef bytes labels                 # for their series, as text; may be empty
    cdef Counter requests             # owned, or None: how many there were
