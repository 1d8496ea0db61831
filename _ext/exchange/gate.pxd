"""Where requests wait that somebody else has to let in, and what he answers where he does not. Who is asked,
the route layer knows (`route/checkpoint`); an exchange knows that it waits, and a passage at which gate."""

from cython cimport final
from linkerd2_py._ext.exchange.edits cimport Edits
from linkerd2_py._ext.io.actor cimport Actor

cdef class Gate(Actor):
    """Each request of a passage that has one stands there before it goes on."""

cdef class Held(Actor):
    """One request at a gate. Its exchange owns it until it is over, for a head may point into it."""
    # The request is over: whoever is asked about it need not answer any more. Idempotent.
    cdef int withdraw(self) except -1

@final
cdef class Denial:
    """A whole response to a request that is not let in. Immutable."""
    cdef int status
    cdef Edits fields                 # owned, or None: it has these, too
    cdef bytes body                   # of HTTP; may be empty
    cdef bytes message                # the same for gRPC, escaped; may be empty
    cdef bytes text                   # why, for who may know
