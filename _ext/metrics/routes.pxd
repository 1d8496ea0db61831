"""outbound_{http,grpc}_route_*: what becomes of the requests of one route, or of those that it sent to one
backend, as Linkerd's proxy counts it."""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.metrics.http cimport ERROR_NONE, ResponseError
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.metrics.series cimport Counter, Distribution

# What was not there in time
cdef enum TimeoutWord:
    TIMEOUT_HEADERS, TIMEOUT_REQUEST, TIMEOUT_RESPONSE, TIMEOUT_IDLE

cdef enum:
    STATUS_BITS = 8               # a key is a status, and below it a word for what went wrong, 0 for nothing
    GRPC_UNKNOWN = 2
    GRPC_CODES = 17

@final
cdef class RetryMetrics:
    """What became of tries after the first, of one label set; None: that is not counted."""
    cdef Counter requests         # sent again
    cdef Counter successes        # of these, answered by what is not tried again
    cdef Counter limit_exceeded   # not sent again: it was often enough
    cdef Counter overflow         # not sent again: no endpoint was ready, or the budget was used up

cdef int count(Counter counter) noexcept           # one more; None: nothing

@final
cdef class RouteMetrics:
    """Of one label set. A counter of a status is made when it comes first, and stays."""
    cdef Registry registry
    cdef bytes labels             # of all of them, as text; never empty
    cdef bytes statuses           # the name of their family
    cdef bint grpc                # statuses are gRPC's
    cdef Counter requests         # of a backend; None: of a route
    cdef Distribution durations
    cdef dict by_key              # what `ended` is told, packed -> Counter
    cdef uint32_t last_key        # the pair that came last, for nearly always it comes again
    cdef Counter last             # None at first
    # `status`: 0 where no response came. `code`: HTTP/2's, of a stream that was reset; of a response that was
    # not there in time, a TimeoutWord. `ours`: the proxy made
    # the response, whose status is one only where a route asks for it. `took_ns`: below 0 is not observed.
    cdef int ended(
        self, int status, int grpc_status, ResponseError error, uint32_t code, bint ours, int64_t took_ns,
    ) except -1
    # The same of a response that a server gave, whole.
    cdef inline int answered(self, int status, int grpc_status, int64_t took_ns) except -1:
        cdef uint32_t key = <uint32_t> (code_of(grpc_status) if self.grpc else status) << STATUS_BITS
        if key != self.last_key or self.last is None:
            return self.ended(status, grpc_status, ERROR_NONE, 0, False, took_ns)
        self.last.count += 1
        if took_ns >= 0:
            self.durations.observe(took_ns / 1e9)
        return 0

    cdef Counter counter_of(self, uint32_t key)

# gRPC's; whatever is none is UNKNOWN.
cdef inline int code_of(int grpc_status) noexcept:
    return grpc_status if 0 <= grpc_status < GRPC_CODES else GRPC_UNKNOWN
