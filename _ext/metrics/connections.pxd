"""outbound_{tcp,tls}_route_{open,close}_total: connections that follow a route of policy, as Linkerd's proxy
counts them."""

from cython cimport final
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.metrics.series cimport Counter

# What a connection ended of, as the `error` of its close has it.
cdef enum ConnectionEnd:
    ENDED_WELL, ENDED_FORBIDDEN, ENDED_INVALID_BACKEND, ENDED_INVALID_POLICY, ENDED_UNEXPECTED, ENDS

# ValueError for a word that is none of these; ENDED_WELL is the empty one.
cdef ConnectionEnd end_named(str word) except *

@final
cdef class ConnectionMetrics:
    """Of one label set. Its counters are made with the first connection."""
    cdef Registry registry
    cdef bytes prefix, labels
    cdef Counter opens            # None at first
    cdef list closes              # of Counter or None, one for each ConnectionEnd; None at first
    cdef int opened(self) except -1
    cdef int closed(self, ConnectionEnd why) except -1     # after `opened`, once for each of them
