"""What the proxy answers in its own name, told to the shell: each reason once a second at most."""

from cython cimport final
from libc.stdint cimport int64_t, uint64_t
from linkerd2_py._ext.exchange.backend cimport Backend
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.route.target cimport Target

cdef enum:
    REASONS_MOST = 256         # that are remembered

@final
cdef class Reason:
    cdef int64_t told                  # loop ns
    cdef uint64_t silent               # answers for it since then

@final
cdef class Complaints:
    """Of the servers of one direction, or of several."""
    cdef Loop loop
    # callable(target, endpoint, status, reason, more): target and reason as bytes, the endpoint as text; both
    # may be None; how many were answered so since the last time it was told of this reason
    cdef object on_answer
    # words -> Reason; forgotten when they are too many, once a second at most: what is new meanwhile is not
    # told
    cdef dict reasons
    cdef int64_t forgot                # loop ns
    cdef int say(self, Target target, Backend backend, int status, const char* text, size_t n) except -1
