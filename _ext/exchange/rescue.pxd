"""The one place where faults become responses (Linkerd's error table: status, grpc-status, l5d-proxy-error, l5d-proxy-connection)."""

from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Stream

cdef struct Rescue:
    int status
    bint close             # the client connection is closed after it
    const char* text       # header-safe

cdef Rescue rescue_of_fault(FaultKind kind) noexcept
cdef int grpc_status_of(int status) noexcept
# Sends a whole synthesised response on the server half: HTTP status, or 200 with grpc-status for gRPC.
cdef int send_rescue(Stream server, int status, const char* text, size_t text_len, bint close, bint is_grpc, bint informational) except -1
# Ends a gRPC response whose body failed midway, so that the client learns why (trailers instead of a truncated body).
cdef int send_grpc_trailers(Stream server, int status, const char* text) except -1
