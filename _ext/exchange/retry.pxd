"""When requests of a route are sent again, though a server may have acted on them: its owner says so."""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.metrics.routes cimport RetryMetrics

cdef enum:
    STATUS_WORDS = 10         # of 64 statuses each: no server's status is beyond them
    MOST_STATUS = 639
    GRPC_CODES = 17

# The answers that are tried to be had better, a bit for each.
cdef struct Conditions:
    uint64_t[STATUS_WORDS] statuses
    uint32_t codes            # gRPC's

cdef inline bint holds(const Conditions* conditions, int status, int code) noexcept nogil:
    if 0 <= code < GRPC_CODES and conditions.codes >> code & 1:
        return True
    return 0 <= status <= MOST_STATUS and conditions.statuses[status >> 6] >> (status & 63) & 1

# Both ends included; statuses that there cannot be are left out.
cdef int add_statuses(Conditions* conditions, int first, int last) noexcept nogil

@final
cdef class Budget:
    """Retries that the requests of a service have earned, as Linkerd's profiles say it: a share of those of
    the last `ttl` that needed none, and some each second whatever comes."""
    cdef readonly double ratio
    cdef readonly uint32_t least      # a second
    cdef readonly int64_t ttl_ns
    # Rings of what was earned and spent in the tenths of that time
    cdef uint64_t[10] earned, spent
    cdef int64_t turned               # the number of the tenth that is filled
    cdef int earn(self, int64_t now) noexcept
    cdef bint spend(self, int64_t now) noexcept        # whether there was one left
    cdef int turn(self, int64_t now) noexcept

@final
cdef class Retry:
    """Immutable but for its budget."""
    cdef Conditions conditions
    cdef readonly int limit           # times after the first
    # Of a try, from the end of its request to the head of its response; 0: none
    cdef readonly int64_t timeout_ns
    cdef readonly size_t most_bytes   # of a body that is kept for it
    # The first pause, doubled each time up to the longest; each is made longer by a share that is drawn, up
    # to `jitter`. 0: none.
    cdef readonly int64_t pause_ns, longest_pause_ns
    cdef readonly double jitter
    cdef readonly Budget budget       # owned, shared; None: no budget but the limit
    cdef readonly RetryMetrics metrics     # owned; None: not counted
