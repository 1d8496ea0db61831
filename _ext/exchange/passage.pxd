"""What inbound policy says to one client about its requests of one route."""

from cython cimport final
from linkerd2_py._ext.exchange.edits cimport Edits
from linkerd2_py._ext.exchange.plan cimport Refusal
from linkerd2_py._ext.metrics.series cimport Counter

@final
cdef class Passage:
    """Immutable, and shared by all connections of that client to that port."""
    cdef bytes refusal                # why they are not let in; None: they are
    cdef int status                   # that goes with it
    cdef Refusal instead              # owned, or None: what those are answered that are let in
    cdef Edits edits                  # owned, or None: what is changed of those that go on
    cdef bint plain                   # all are let in as they are
    cdef bint limited                 # limits on the port's requests hold for these
    cdef bytes labels                 # for their series, as text; may be empty
    cdef Counter requests             # owned, or None: how many there were
