"""request_total, response_total, response_latency_ms of one label set, split by status, classification and
grpc status in C."""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.metrics.histogram cimport Histogram
from linkerd2_py._ext.metrics.series cimport Series

cdef enum Classification:
    CLASS_SUCCESS, CLASS_FAILURE

# The closed set of texts of the `error` label: why the proxy itself made the response, why the response
# broke, or why a connection was given up.
cdef enum ResponseError:
    ERROR_NONE             # no label
    ERROR_FAILFAST         # no ready endpoint for the fail-fast time
    ERROR_LOAD_SHED        # the queue is full or shut
    ERROR_CONNECT          # the endpoint refused or was unreachable
    ERROR_CONNECT_TIMEOUT
    ERROR_TLS              # the endpoint did not prove who it is
    ERROR_IO               # the connection broke before or within the response
    ERROR_TIMEOUT          # the response did not come in time
    ERROR_PROTOCOL         # the peer's bytes were not HTTP
    ERROR_NO_ROUTE         # nobody serves that authority
    ERROR_LOOP             # the proxy would have reached itself
    ERROR_RESET            # the stream was reset by the server
    ERROR_CANCELLED        # the client went away
    ERROR_UNEXPECTED
    ERROR_IDENTITY         # the application asks for another than who answers (l5d-require-id)
    ERROR_TLS_DETECTION    # nothing came that says whether a connection is TLS, or the handshake stalled
    ERROR_GATEWAY          # a peer takes us for a gateway
    ERROR_DENIED           # policy does not let the client in, and counts it itself
    RESPONSE_ERRORS

cdef enum:
    NO_GRPC_STATUS = -1

cdef struct ResponseCell:
    # Status, grpc status, classification, error: see pack_key; cells are sorted by it.
    uint32_t key
    uint64_t count

cdef struct LatencyCell:
    uint32_t status           # cells are sorted by it
    Histogram histogram

@final
cdef class HttpMetrics(Series):
    cdef uint64_t requests
    cdef uint64_t lost            # samples dropped for want of memory
    cdef ResponseCell* responses  # owned, malloc'ed on first use, freed in __dealloc__
    cdef LatencyCell* latencies   # owned, malloc'ed on first use, freed in __dealloc__
    cdef uint32_t response_count
    cdef uint32_t response_room
    cdef uint32_t response_last   # index hit last: nearly always right again
    cdef uint32_t latency_count
    cdef uint32_t latency_room
    cdef uint32_t latency_last
    cdef int request(self, int64_t now) noexcept
    # status: 0..999. grpc_status: NO_GRPC_STATUS or the code; codes outside 0..16 count as 2 (unknown).
    # latency_ns: below 0 counts the response without a latency. Returns 0, or -1 when memory ran out and the
    # sample was dropped.
    cdef int response(
        self, int status, Classification classification, int grpc_status, int64_t latency_ns, int64_t now,
    ) noexcept
    # The same with the `error` label, for a response that the proxy synthesised or that broke.
    cdef int failed(
        self, int status, Classification classification, int grpc_status, ResponseError error,
        int64_t latency_ns, int64_t now,
    ) noexcept
    cdef ResponseCell* response_cell(self, uint32_t key) noexcept    # borrowed; NULL when out of memory
    cdef LatencyCell* latency_cell(self, uint32_t status) noexcept   # borrowed; NULL when out of memory
    cdef bint insert_response(self, uint32_t at, uint32_t key) noexcept
    cdef bint insert_latency(self, uint32_t at, uint32_t status) noexcept

# status 10 bits, grpc status + 1 5 bits, classification 1 bit, error 8 bits: ordered as people read it
cdef inline uint32_t pack_key(
    uint32_t status, int grpc_status, Classification classification, ResponseError error,
) noexcept nogil:
    return (
        status << 14 | <uint32_t> (grpc_status + 1) << 9 | <uint32_t> classification << 8 | <uint32_t> error
    )

cdef inline uint32_t key_status(uint32_t key) noexcept nogil:
    return key >> 14

cdef inline int key_grpc_status(uint32_t key) noexcept nogil:
    return <int> (key >> 9 & 31) - 1

cdef inline bint key_failure(uint32_t key) noexcept nogil:
    return key >> 8 & 1

cdef inline uint32_t key_error(uint32_t key) noexcept nogil:
    return key & 255

# Linkerd's rules: gRPC status decides when present (0 success); else status >= 500 is failure
cdef Classification classify(int status, int grpc_status, bint is_grpc) noexcept nogil
cdef const char* response_error_text(uint32_t error) noexcept nogil     # "" for ERROR_NONE
