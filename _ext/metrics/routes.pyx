# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Once an exchange, at its end."""

from linkerd2_py._ext.metrics.http cimport (
    ERROR_DENIED, ERROR_FAILFAST, ERROR_IO, ERROR_LOAD_SHED, ERROR_NONE, ERROR_NO_ROUTE, ERROR_RESET,
    ERROR_TIMEOUT, ERROR_UNEXPECTED,
)
from linkerd2_py._ext.metrics.labels cimport make_labels

cdef enum Word:
    WORD_NONE, WORD_FAIL_FAST, WORD_LOAD_SHED, WORD_CANCEL, WORD_REFUSED, WORD_CALM, WORD_RESET, WORD_IO
    WORD_HEADERS, WORD_REQUEST, WORD_RESPONSE, WORD_IDLE, WORD_UNKNOWN

cdef enum:
    REFUSED_STREAM = 7        # RFC 9113 section 7
    CANCEL = 8
    ENHANCE_YOUR_CALM = 11

cdef tuple WORDS = (
    b"", b"FAIL_FAST", b"LOAD_SHED", b"CANCEL", b"REFUSED", b"ENHANCE_YOUR_CALM", b"RESET", b"IO",
    b"RESPONSE_HEADERS_TIMEOUT", b"REQUEST_TIMEOUT", b"RESPONSE_STREAM_TIMEOUT", b"IDLE_TIMEOUT", b"UNKNOWN",
)
cdef tuple GRPC_WORDS = (
    b"OK", b"CANCELLED", b"UNKNOWN", b"INVALID_ARGUMENT", b"DEADLINE_EXCEEDED", b"NOT_FOUND",
    b"ALREADY_EXISTS", b"PERMISSION_DENIED", b"RESOURCE_EXHAUSTED", b"FAILED_PRECONDITION", b"ABORTED",
    b"OUT_OF_RANGE", b"UNIMPLEMENTED", b"INTERNAL", b"UNAVAILABLE", b"DATA_LOSS", b"UNAUTHENTICATED",
)
cdef tuple REQUEST_BOUNDS_S = (0.05, 0.5, 1.0, 10.0)
cdef tuple RESPONSE_BOUNDS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0)


cdef int count(Counter counter) noexcept:
    if counter is not None:
        counter.count += 1
    return 0


cdef class RetryMetrics:
    def __init__(self, Registry registry not None, labels, *, bint grpc=False, bint of_profile=False):
        cdef bytes prefix = b"outbound_grpc_route_retry_" if grpc else b"outbound_http_route_retry_"
        cdef bytes text = make_labels(labels)
        if of_profile:
            helped = b"Requests that a profile lets be sent again, and of these what was skipped."
            self.requests = registry.counted(b"route_retryable_total", helped, text)
            self.overflow = registry.counted(
                b"route_retryable_total", helped, text + b',skipped="no_budget"',
            )
            return
        self.requests = registry.counted(prefix + b"requests_total", b"Requests that were sent again.", text)
        self.successes = registry.counted(
            prefix + b"successes_total", b"Requests that succeeded when they were sent again.", text,
        )
        self.limit_exceeded = registry.counted(
            prefix + b"limit_exceeded_total", b"Requests that were not sent again: the limit was reached.",
            text,
        )
        self.overflow = registry.counted(
            prefix + b"overflow_total", b"Requests that were not sent again: no endpoint was ready.", text,
        )


cdef class RouteMetrics:
    def __init__(self, Registry registry not None, labels, *, bint grpc=False, bint of_backend=False):
        cdef bytes prefix = b"outbound_grpc_route_" if grpc else b"outbound_http_route_"
        self.registry = registry
        self.labels = make_labels(labels)
        self.grpc = grpc
        self.by_key = {}
        if not of_backend:
            self.statuses = prefix + b"request_statuses_total"
            self.durations = registry.spread(
                prefix + b"request_duration_seconds",
                b"From the head of a request to the end of its response, in seconds.",
                REQUEST_BOUNDS_S, self.labels,
            )
            return
        self.statuses = prefix + b"backend_response_statuses_total"
        self.requests = registry.counted(
            prefix + b"backend_requests_total", b"Requests that a route sent to a backend.", self.labels,
        )
        self.durations = registry.spread(
            prefix + b"backend_response_duration_seconds",
            b"From the end of a request to the end of its backend's response, in seconds.",
            RESPONSE_BOUNDS_S, self.labels,
        )

    cdef int ended(
        self, int status, int grpc_status, ResponseError error, uint32_t code, bint ours, int64_t took_ns,
    ) except -1:
        cdef Word word = word_of(error, code, status)
        cdef uint32_t key
        if ours and word != WORD_NONE:
            status, grpc_status = 0, GRPC_UNKNOWN
        if self.grpc:
            # Without a status it is an error of its own kind, and UNKNOWN to gRPC.
            status = code_of(grpc_status)
        key = <uint32_t> status << STATUS_BITS | <uint32_t> word
        if self.last is None or key != self.last_key:
            self.last = self.counter_of(key)
            self.last_key = key
        self.last.count += 1
        if took_ns >= 0:
            self.durations.observe(took_ns / 1e9)
        return 0

    cdef Counter counter_of(self, uint32_t key):
        cdef Counter counter = self.by_key.get(key)
        cdef bytes status, word = WORDS[key & 255]
        if counter is not None:
            return counter
        if self.grpc:
            status = b'grpc_status="%s"' % GRPC_WORDS[key >> STATUS_BITS]
        else:
            status = b'http_status="%s"' % (b"%d" % (key >> STATUS_BITS) if key >> STATUS_BITS else b"")
        counter = self.by_key[key] = self.registry.counted(
            self.statuses, b"Requests that ended, by the status of their response and what went wrong.",
            b'%s,%s,error="%s"' % (self.labels, status, word),
        )
        return counter


cdef Word word_of(ResponseError error, uint32_t code, int status) noexcept:
    """Linkerd's. What a route itself answers with is a status, and no error."""
    if error == ERROR_NONE:
        return WORD_NONE
    if error == ERROR_FAILFAST:
        return WORD_FAIL_FAST
    if error == ERROR_LOAD_SHED:
        return WORD_LOAD_SHED
    if error == ERROR_TIMEOUT:
        return <Word> (WORD_HEADERS + code) if code <= TIMEOUT_IDLE else WORD_HEADERS
    if error == ERROR_IO:
        return WORD_IO
    if error == ERROR_RESET:
        return reset_word(code)
    if error == ERROR_NO_ROUTE or error == ERROR_UNEXPECTED or error == ERROR_DENIED:
        return WORD_NONE if status else WORD_UNKNOWN
    return WORD_UNKNOWN


cdef Word reset_word(uint32_t code) noexcept:
    if code == CANCEL:
        return WORD_CANCEL
    if code == REFUSED_STREAM:
        return WORD_REFUSED
    return WORD_CALM if code == ENHANCE_YOUR_CALM else WORD_RESET
