"""{inbound,outbound}_{http,tcp}_errors_total: what the proxy could not serve, by what kept it from that."""

from linkerd2_py._ext.metrics.http cimport ResponseError
from linkerd2_py._ext.metrics.registry cimport Registry

cdef class Errors:
    """Of one family and label set. Each reason's counter is made when it happens first, and stays."""
    cdef Registry registry
    cdef bytes name, help
    cdef bytes labels             # of all of them, as text; may be empty
    cdef list counters            # by ResponseError: Counter, or None until needed
    # Nothing where `error` is no error of the proxy's: none, the client's own end, a refusal by policy.
    cdef int count(self, ResponseError error) except -1

cdef Errors http_errors(Registry registry, bytes direction, bytes labels)
cdef Errors tcp_errors(Registry registry, bytes direction, bytes labels)
# The `error` label: Linkerd's word where it has one.
cdef const char* error_word(ResponseError error) noexcept nogil
