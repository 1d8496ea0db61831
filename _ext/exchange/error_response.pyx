# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Linkerd's error table as data, written through the codec like any other head."""

from libc.stdio cimport snprintf
from libc.string cimport strlen

from linkerd2_py._ext.core.fault cimport (
    FAULT_CONNECT_TIMEOUT, FAULT_PROTOCOL, FAULT_REFUSED, FAULT_TIMEOUT, FAULT_TLS, FAULT_UNREACHABLE,
    fault_text,
)
from linkerd2_py._ext.core.http_date cimport HTTP_DATE_ROOM, put_http_date
from linkerd2_py._ext.exchange.backend cimport (
    UNAVAILABLE_CLOSED, UNAVAILABLE_DENIED, UNAVAILABLE_FAILFAST, UNAVAILABLE_FULL, UNAVAILABLE_LOOP,
    UNAVAILABLE_MISTRUSTED, UNAVAILABLE_REJECTED, UNAVAILABLE_SHED,
)
from linkerd2_py._ext.exchange.head cimport (
    FIELD_LOWER, H_CONTENT_LENGTH, H_CONTENT_TYPE, H_DATE, H_GRPC_MESSAGE, H_GRPC_STATUS,
    H_L5D_PROXY_CONNECTION, H_L5D_PROXY_ERROR, H_OTHER, HTTP_11, Head, drop_head, take_head,
)
from linkerd2_py._ext.exchange.redirect cimport THERE, UNKNOWN, Redirect, Whither
from linkerd2_py._ext.metrics.http cimport (
    ERROR_CONNECT, ERROR_CONNECT_TIMEOUT, ERROR_DENIED, ERROR_FAILFAST, ERROR_IDENTITY, ERROR_IO,
    ERROR_LOAD_SHED, ERROR_LOOP, ERROR_NO_ROUTE, ERROR_NONE, ERROR_PROTOCOL, ERROR_RESET, ERROR_TIMEOUT,
    ERROR_TLS, ERROR_UNEXPECTED,
)

cdef enum:
    UNAUTHORIZED = 401
    TOO_MANY_REQUESTS = 429
    GRPC_DEADLINE_EXCEEDED = 4
    GRPC_NOT_FOUND = 5
    GRPC_PERMISSION_DENIED = 7
    GRPC_RESOURCE_EXHAUSTED = 8
    GRPC_ABORTED = 10
    GRPC_INTERNAL = 13
    GRPC_UNAVAILABLE = 14
    GRPC_UNAUTHENTICATED = 16
    CHALLENGE_ROOM = 256
    LEAST_ERROR = 400
    LENGTH_ROOM = 24
    DIGITS_ROOM = 8        # of a gRPC status, which has two


# ---- what is answered to what


cdef ErrorResponse answer_of(int status, const char* text, bint close, ResponseError error) noexcept:
    cdef ErrorResponse answer
    answer.status = status
    answer.close = close
    answer.text = text
    answer.text_len = strlen(text)
    answer.error = error
    answer.code = -1
    answer.message.ptr = text
    answer.message.len = answer.text_len
    answer.denial = NULL
    answer.location.ptr = ""
    answer.location.len = 0
    answer.challenge = NULL
    return answer


cdef ErrorResponse response_to_fault(FaultKind kind) noexcept:
    cdef int status = 504 if kind == FAULT_CONNECT_TIMEOUT or kind == FAULT_TIMEOUT else 502
    return answer_of(status, fault_text(kind), True, error_of_fault(kind))


cdef ErrorResponse response_to_unavailable(Unavailable why, int status, bytes text) noexcept:
    """Some are about this one request, or of a moment; the others say that the client should look for another
    proxy or come back later."""
    cdef bint mistrusted = why == UNAVAILABLE_MISTRUSTED
    cdef bint stays = mistrusted or why in (UNAVAILABLE_REJECTED, UNAVAILABLE_DENIED, UNAVAILABLE_FULL)
    cdef ErrorResponse answer
    answer = answer_of(status, text, not stays or status == 502, error_of_unavailable(why, status))
    if mistrusted:
        answer.challenge = "invalid_token" if status == UNAUTHORIZED else "insufficient_scope"
    elif why == UNAVAILABLE_DENIED and status == UNAUTHORIZED:
        answer.challenge = ""
    return answer


cdef ErrorResponse response_to_refusal(Refusal refusal, Head request) except *:
    cdef ErrorResponse answer
    if refusal.means():
        answer = answer_of(
            refusal.status, refusal.text, False, error_of_unavailable(UNAVAILABLE_REJECTED, refusal.status),
        )
        answer.code = refusal.code
        answer.message.ptr = refusal.message
        answer.message.len = len(refusal.message)
        return answer
    if refusal.redirect is None:
        return answer_of(0, "", False, ERROR_NONE)
    return response_to_redirect(refusal.redirect, request)


cdef ErrorResponse response_to_redirect(Redirect redirect, Head request) except *:
    """A redirect to where a request goes anyway is none, or its client would never get anywhere (Linkerd)."""
    cdef ErrorResponse answer = answer_of(redirect.status, "redirected", False, ERROR_NONE)
    cdef Whither whither = redirect.of(request, &answer.location)
    if whither == UNKNOWN:
        return answer_of(400, "the request names no host, and is redirected", False, ERROR_UNEXPECTED)
    if whither != THERE:
        answer.status = 0
    return answer


cdef ErrorResponse response_to_denial(Denial denial) noexcept:
    cdef ErrorResponse answer = answer_of(denial.status, denial.text, False, ERROR_DENIED)
    answer.denial = <PyObject*> denial
    if denial.status < LEAST_ERROR:
        answer.code = GRPC_PERMISSION_DENIED
    if denial.message:
        answer.message.ptr = denial.message
        answer.message.len = len(denial.message)
    return answer


cdef ErrorResponse response_to_timeout(bytes text) noexcept:
    return answer_of(504, text, False, ERROR_TIMEOUT)


cdef ErrorResponse head_too_large() noexcept:
    return answer_of(431, "request header fields too large", False, ERROR_NONE)


cdef ErrorResponse early_body_too_large() noexcept:
    cdef const char* text = "request body too large to hold while waiting for an endpoint"
    return answer_of(503, text, True, ERROR_LOAD_SHED)


cdef ErrorResponse request_refused() noexcept:
    return answer_of(503, "the endpoint refused the request", True, ERROR_RESET)


cdef ErrorResponse identity_not_met() noexcept:
    return answer_of(502, "the endpoint does not have the required identity", True, ERROR_IDENTITY)


# ---- what response_total says of it


cdef ResponseError error_of_fault(FaultKind kind) noexcept:
    if kind == FAULT_REFUSED or kind == FAULT_UNREACHABLE:
        return ERROR_CONNECT
    if kind == FAULT_CONNECT_TIMEOUT:
        return ERROR_CONNECT_TIMEOUT
    if kind == FAULT_TLS:
        return ERROR_TLS
    if kind == FAULT_TIMEOUT:
        return ERROR_TIMEOUT
    return ERROR_PROTOCOL if kind == FAULT_PROTOCOL else ERROR_IO


cdef ResponseError error_of_break(FaultKind kind, uint32_t code) noexcept:
    return ERROR_RESET if code else error_of_fault(kind)


cdef ResponseError error_of_unavailable(Unavailable why, int status) noexcept:
    if why == UNAVAILABLE_FAILFAST:
        return ERROR_FAILFAST
    if why in (UNAVAILABLE_SHED, UNAVAILABLE_CLOSED, UNAVAILABLE_FULL):
        return ERROR_LOAD_SHED
    if why == UNAVAILABLE_LOOP:
        return ERROR_LOOP
    if why == UNAVAILABLE_DENIED or why == UNAVAILABLE_MISTRUSTED:
        return ERROR_DENIED
    return ERROR_NO_ROUTE if status == 404 else ERROR_UNEXPECTED


cdef int grpc_status_of(int status) noexcept:
    if status == 502 or status == 503:
        return GRPC_UNAVAILABLE
    if status == 504:
        return GRPC_DEADLINE_EXCEEDED
    if status == 403:
        return GRPC_PERMISSION_DENIED
    if status == UNAUTHORIZED:
        return GRPC_UNAUTHENTICATED
    if status == 404 or 300 <= status < 400:
        return GRPC_NOT_FOUND
    if status == TOO_MANY_REQUESTS or status == 431:
        return GRPC_RESOURCE_EXHAUSTED
    return GRPC_ABORTED if status == 508 else GRPC_INTERNAL


cdef int code_of(const ErrorResponse* answer) noexcept:
    return grpc_status_of(answer.status) if answer.code < 0 else answer.code


# ---- saying it


cdef int add_grpc_status(Head head, int code, const char* text, size_t text_len) except -1:
    cdef char[DIGITS_ROOM] digits
    cdef int length = snprintf(digits, DIGITS_ROOM, "%d", code)
    head.put("grpc-status", 11, digits, length, H_GRPC_STATUS)
    if text_len:
        head.put("grpc-message", 12, text, text_len, H_GRPC_MESSAGE)
    return 0


cdef int add_challenge(Head head, const ErrorResponse* answer) except -1:
    """Which words those are that stand in quotes is our own business: none has quotes."""
    cdef char[CHALLENGE_ROOM] value
    cdef int length
    if answer.challenge[0] == 0:
        return head.add("www-authenticate", 16, "Bearer", 6, H_OTHER, FIELD_LOWER)
    length = snprintf(
        value, CHALLENGE_ROOM, "Bearer error=\"%s\", error_description=\"%s\"",
        answer.challenge, answer.text,
    )
    return head.put("www-authenticate", 16, value, min(length, CHALLENGE_ROOM - 1), H_OTHER)


cdef int fill(Head head, const ErrorResponse* answer, bint is_grpc, bint informational) except -1:
    cdef char[HTTP_DATE_ROOM] date
    cdef char[LENGTH_ROOM] length
    length[0] = c"0"
    length[1] = 0
    head.version = HTTP_11
    head.status = 200 if is_grpc else answer.status
    head.end = True
    head.content_length = 0
    head.wants_close = answer.close
    if is_grpc:
        head.add("content-type", 12, "application/grpc", 16, H_CONTENT_TYPE, 0)
        add_grpc_status(head, code_of(answer), answer.message.ptr, answer.message.len)
    elif answer.status == TOO_MANY_REQUESTS:
        # Limits are in whole requests a second: there is room for one before a second is over.
        head.add("retry-after", 11, "1", 1, H_OTHER, 0)
    elif answer.location.len:
        head.add("location", 8, answer.location.ptr, answer.location.len, H_OTHER, FIELD_LOWER)
    if answer.challenge != NULL:
        add_challenge(head, answer)
    if answer.denial != NULL and (<Denial> answer.denial).fields is not None:
        (<Denial> answer.denial).fields.apply(head, 0)
    if answer.denial != NULL and not is_grpc and (<Denial> answer.denial).body:
        head.end = False
        head.content_length = len((<Denial> answer.denial).body)
        snprintf(length, LENGTH_ROOM, "%ld", <long> head.content_length)
    head.put("content-length", 14, length, strlen(length), H_CONTENT_LENGTH)
    head.put("date", 4, date, put_http_date(date), H_DATE)
    if informational and answer.text_len and answer.location.len == 0:
        head.put("l5d-proxy-error", 15, answer.text, answer.text_len, H_L5D_PROXY_ERROR)
    if informational and answer.close:
        head.add("l5d-proxy-connection", 20, "close", 5, H_L5D_PROXY_CONNECTION, 0)
    return 0


cdef int send_error_response(Stream server, ErrorResponse answer, bint is_grpc, bint informational) except -1:
    cdef Head head = take_head()
    cdef bytes body
    try:
        fill(head, &answer, is_grpc, informational)
        server.send_head(head)
        if answer.denial != NULL and not head.end:
            body = (<Denial> answer.denial).body
            server.send_body(body, len(body), True)
    finally:
        drop_head(head)
    return 0


cdef int send_error_trailers(Stream server, ErrorResponse answer) except -1:
    cdef Head head = take_head()
    cdef int code = code_of(&answer)
    try:
        add_grpc_status(head, code, answer.message.ptr, answer.message.len)
        server.send_trailers(head)
    finally:
        drop_head(head)
    return code
