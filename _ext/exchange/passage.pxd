"""What inbound policy says to one client about its requests of one route."""

from cython cimport final
from linkerd2_py._ext.exchange.edits cimport Edits
from linkerd2_py._ext.exchange.gate cimport Gate
from linkerd2_py._ext.exchange.plan cimport Refusal
from linkerd2_py._ext.metrics.series cimport Counter

cdef class Examiner:
    """Who looks at each request by itself (`RequestExaminer` of `exchange/backend`, which knows who waits; a
    passage does not)."""

@final
cdef class Passage:
    """Immutable, and shared by all connections of that client to that port."""
    cdef bytes refusal                # why they are not let in; None: they are
    cdef int status                   # that goes with it
    cdef bint mistrusts               # what a request showed to be let in is no good: it is told so
    # Owned, or None: who says which passage each of these requests has in the place of this one
    cdef Examiner examiner
    cdef Refusal instead              # owned, or None: what those are answered that are let in
    cdef Edits edits                  # owned, or None: what is changed of those that go on
    cdef bint plain                   # all are let in as they are
    cdef Gate gate                    # owned, or None: where those wait that are let in
    cdef bint limited                 # limits on the port's requests hold for these
    cdef bytes labels                 # for their series, as text; may be empty
    cdef Counter requests             # owned, or None: how many there were
