# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Synthesised responses: Linkerd's error table as data, written through the codec like any other head."""

from libc.stdio cimport snprintf
from libc.string cimport strlen

from linkerd2_py._ext.core.fault cimport FAULT_CONNECT_TIMEOUT, FAULT_TIMEOUT, FaultKind, fault_text
from linkerd2_py._ext.exchange.head cimport H_CONTENT_LENGTH, H_CONTENT_TYPE, H_GRPC_MESSAGE, H_GRPC_STATUS, H_L5D_PROXY_CONNECTION, H_L5D_PROXY_ERROR, HTTP_11, Head, drop_head, take_head
from linkerd2_py._ext.exchange.stream cimport Stream


cdef Rescue rescue_of_fault(FaultKind kind) noexcept:
    cdef Rescue rescue
    rescue.status = 504 if kind == FAULT_CONNECT_TIMEOUT or kind == FAULT_TIMEOUT else 502
    rescue.close = True
    rescue.text = fault_text(kind)
    return rescue


cdef int grpc_status_of(int status) noexcept:
    """gRPC code for a synthesised HTTP status (linkerd2-proxy's errors/respond)."""
    if status == 502 or status == 503:
        return 14      # UNAVAILABLE
    if status == 504:
        return 4       # DEADLINE_EXCEEDED
    if status == 403:
        return 7       # PERMISSION_DENIED
    if status == 404:
        return 5       # NOT_FOUND
    if status == 429 or status == 431:
        return 8       # RESOURCE_EXHAUSTED
    if status == 508:
        return 10      # ABORTED
    return 13          # INTERNAL


cdef int add_grpc_status(Head head, int status, const char* text, size_t text_len) except -1:
    cdef char digits[8]
    cdef int length = snprintf(digits, sizeof(digits), "%d", grpc_status_of(status))
    head.put("grpc-status", 11, digits, length, H_GRPC_STATUS)
    if text_len:
        head.put("grpc-message", 12, text, text_len, H_GRPC_MESSAGE)
    return 0


cdef int send_rescue(Stream server, int status, const char* text, size_t text_len, bint close, bint is_grpc, bint informational) except -1:
    cdef Head head = take_head()
    try:
        head.version = HTTP_11
        head.status = 200 if is_grpc else status
        head.end = True
        head.content_length = 0
        head.wants_close = close
        if is_grpc:
            head.add("content-type", 12, "application/grpc", 16, H_CONTENT_TYPE, 0)
            add_grpc_status(head, status, text, text_len)
        head.add("content-length", 14, "0", 1, H_CONTENT_LENGTH, 0)
        if informational:
            if text_len:
                head.put("l5d-proxy-error", 15, text, text_len, H_L5D_PROXY_ERROR)
            if close:
                head.add("l5d-proxy-connection", 20, "close", 5, H_L5D_PROXY_CONNECTION, 0)
        server.send_head(head)
    finally:
        drop_head(head)
    return 0


cdef int send_grpc_trailers(Stream server, int status, const char* text) except -1:
    cdef Head head = take_head()
    try:
        add_grpc_status(head, status, text, strlen(text))
        server.send_trailers(head)
    finally:
        drop_head(head)
    return 0
