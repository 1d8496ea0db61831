# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Counters and latency histograms of one HTTP label set.

Exchanges add to them; exposition reads them. No Python object per response.
"""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove, memset
from linkerd2_py._ext.metrics.histogram cimport record
from linkerd2_py._ext.metrics.series cimport Series

cdef enum:
    # Stands for statuses beyond three digits and, once a table is full, for new ones.
    STATUS_UNKNOWN = 0        # no status is
    GRPC_UNKNOWN = 2          # gRPC: codes outside the enumeration are treated as UNKNOWN
    GRPC_LAST = 16            # UNAUTHENTICATED, the last that gRPC defines
    CELLS_MAX = 256           # a hostile server that varies status and grpc-status must not grow us
    # Histograms, 26 buckets each: the statuses that HTTP registers are about as many.
    LATENCIES_MAX = 64

# Linkerd's words where it has one.
cdef const char* ERROR_TEXTS[18]
ERROR_TEXTS[:] = [
    b"", b"failfast", b"loadshed", b"connect", b"connect timeout", b"tls", b"i/o", b"response timeout",
    b"protocol", b"no route", b"loop", b"reset", b"cancelled", b"unexpected", b"identity required",
    b"tls detection timeout", b"gateway domain invalid", b"denied",
]


@final
cdef class HttpMetrics(Series):
    """One label set. Made by Registry; `labels` is the label text that every series of it starts with."""

    def __dealloc__(self):
        free(self.responses)
        free(self.latencies)

    cdef int request(self, int64_t now) noexcept:
        self.requests += 1
        self.touched_ns = now
        return 0

    cdef int response(
        self, int status, Classification classification, int grpc_status, int64_t latency_ns, int64_t now,
    ) noexcept:
        return self.failed(status, classification, grpc_status, ERROR_NONE, latency_ns, now)

    cdef int failed(
        self, int status, Classification classification, int grpc_status, ResponseError error,
        int64_t latency_ns, int64_t now,
    ) noexcept:
        self.touched_ns = now
        if status < 0 or status > 999:
            status = STATUS_UNKNOWN
        if grpc_status < NO_GRPC_STATUS or grpc_status > GRPC_LAST:
            grpc_status = GRPC_UNKNOWN
        cdef ResponseCell* cell = self.response_cell(pack_key(status, grpc_status, classification, error))
        cdef LatencyCell* latency
        if cell == NULL:
            self.lost += 1
            return -1
        cell.count += 1
        if latency_ns < 0:
            return 0
        latency = self.latency_cell(status)
        if latency == NULL:
            self.lost += 1
            return -1
        record(&latency.histogram, latency_ns)
        return 0

    cdef ResponseCell* response_cell(self, uint32_t key) noexcept:
        cdef uint32_t at = self.response_last
        cdef uint32_t folded
        if at < self.response_count and self.responses[at].key == key:
            return &self.responses[at]
        at = find_response(self.responses, self.response_count, key)
        if at == self.response_count or self.responses[at].key != key:
            folded = pack_key(
                STATUS_UNKNOWN,
                NO_GRPC_STATUS,
                CLASS_FAILURE if key_failure(key) else CLASS_SUCCESS,
                ERROR_NONE,
            )
            if self.response_count >= CELLS_MAX and key != folded:
                return self.response_cell(folded)
            if not self.insert_response(at, key):
                return NULL
        self.response_last = at
        return &self.responses[at]

    cdef bint insert_response(self, uint32_t at, uint32_t key) noexcept:
        cdef uint32_t room
        cdef void* grown
        if self.response_count == self.response_room:
            room = max(2, self.response_room * 2)
            grown = realloc(self.responses, room * sizeof(ResponseCell))
            if grown == NULL:
                return False
            self.responses = <ResponseCell*> grown
            self.response_room = room
        memmove(
            &self.responses[at + 1], &self.responses[at], (self.response_count - at) * sizeof(ResponseCell),
        )
        self.responses[at].key = key
        self.responses[at].count = 0
        self.response_count += 1
        return True

    cdef LatencyCell* latency_cell(self, uint32_t status) noexcept:
        cdef uint32_t at = self.latency_last
        if at < self.latency_count and self.latencies[at].status == status:
            return &self.latencies[at]
        at = find_latency(self.latencies, self.latency_count, status)
        if at == self.latency_count or self.latencies[at].status != status:
            if self.latency_count >= LATENCIES_MAX and status != STATUS_UNKNOWN:
                return self.latency_cell(STATUS_UNKNOWN)
            if not self.insert_latency(at, status):
                return NULL
        self.latency_last = at
        return &self.latencies[at]

    cdef bint insert_latency(self, uint32_t at, uint32_t status) noexcept:
        cdef uint32_t room
        cdef void* grown
        if self.latency_count == self.latency_room:
            room = max(1, self.latency_room * 2)
            grown = realloc(self.latencies, room * sizeof(LatencyCell))
            if grown == NULL:
                return False
            self.latencies = <LatencyCell*> grown
            self.latency_room = room
        memmove(&self.latencies[at + 1], &self.latencies[at], (self.latency_count - at) * sizeof(LatencyCell))
        memset(&self.latencies[at], 0, sizeof(LatencyCell))
        self.latencies[at].status = status
        self.latency_count += 1
        return True


cdef uint32_t find_response(const ResponseCell* cells, uint32_t count, uint32_t key) noexcept nogil:
    """Index of the first cell whose key is not below `key`."""
    cdef uint32_t low = 0
    cdef uint32_t middle
    while low < count:
        middle = (low + count) // 2
        if cells[middle].key < key:
            low = middle + 1
        else:
            count = middle
    return low


cdef uint32_t find_latency(const LatencyCell* cells, uint32_t count, uint32_t status) noexcept nogil:
    """Index of the first cell whose status is not below `status`."""
    cdef uint32_t low = 0
    cdef uint32_t middle
    while low < count:
        middle = (low + count) // 2
        if cells[middle].status < status:
            low = middle + 1
        else:
            count = middle
    return low


cdef Classification classify(int status, int grpc_status, bint is_grpc) noexcept nogil:
    """Linkerd without profile classes: a gRPC status decides; a gRPC response without one failed; else 5xx
    failed."""
    if grpc_status != NO_GRPC_STATUS:
        return CLASS_SUCCESS if grpc_status == 0 else CLASS_FAILURE
    if is_grpc or status >= 500:
        return CLASS_FAILURE
    return CLASS_SUCCESS


cdef const char* response_error_text(uint32_t error) noexcept nogil:
    return ERROR_TEXTS[error] if error < RESPONSE_ERRORS else ERROR_TEXTS[<int> ERROR_UNEXPECTED]
