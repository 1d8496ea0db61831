"""How the proxy answers in an endpoint's place: the one where faults and redirects become responses.

Linkerd's error table (its errors/respond): a status with a text, the same as gRPC's code and message, and
for those who are told why, l5d-proxy-error and l5d-proxy-connection. What response_total says of it stands
beside them. """

from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.backend cimport Unavailable
from linkerd2_py._ext.exchange.gate cimport Denial
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.plan cimport Refusal
from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.metrics.http cimport ResponseError

cdef struct ErrorResponse:
    int status
    # The client's connection is closed after it: the client should come back another way.
    bint close
    const char* text       # header-safe; borrowed from whoever made this, until it is sent
    size_t text_len
    # Of gRPC, where a route says it: its code, else -1: that of the status; and its message, borrowed, too
    int code
    Span message
    ResponseError error    # the `error` label
    PyObject* denial       # borrowed as `text` is; NULL: none, else what the response has besides
    Span location          # of a redirect, borrowed as `text` is; else empty. The client's business: no error
    # A token is asked for (RFC 6750, 3): what is wrong with the one that came, in the standard's words;
    # empty: none came; NULL: none is asked for
    const char* challenge

# ---- what is answered to what

cdef ErrorResponse response_to_fault(FaultKind kind) noexcept
# `status` and `text` are the target's.
cdef ErrorResponse response_to_unavailable(Unavailable why, int status, bytes text) noexcept
# A route says so of this request; `status` 0: it does not. A location is in memory of its head.
cdef ErrorResponse response_to_refusal(Refusal refusal, Head request) except *
cdef ErrorResponse response_to_denial(Denial denial) noexcept
# Something was not there in time; `text` says what.
cdef ErrorResponse response_to_timeout(bytes text) noexcept
cdef ErrorResponse head_too_large() noexcept
# More body came than is held for a request that has nobody to take it yet.
cdef ErrorResponse early_body_too_large() noexcept
# The endpoint processed nothing of the request, and it cannot be sent again.
cdef ErrorResponse request_refused() noexcept
# The endpoint has not proven to be whom the application asks for.
cdef ErrorResponse identity_not_met() noexcept

# Of a connection that is given up for it.
cdef ResponseError error_of_fault(FaultKind kind) noexcept
cdef ResponseError error_of_unavailable(Unavailable why, int status) noexcept
# Why a response that had begun did not end: with an HTTP/2 error code the endpoint's stream was reset.
cdef ResponseError error_of_break(FaultKind kind, uint32_t code) noexcept
cdef int grpc_status_of(int status) noexcept

# ---- saying it

# A whole response on a server half: the status itself, or 200 with grpc-status for gRPC. `informational`:
# the client may know why.
cdef int send_error_response(Stream server, ErrorResponse answer, bint is_grpc, bint informational) except -1
# gRPC's code of it.
cdef int code_of(const ErrorResponse* answer) noexcept
# Ends a gRPC response that broke after its head: trailers that say why, not a message cut short. The gRPC
# status.
cdef int send_error_trailers(Stream server, ErrorResponse answer) except -1
