# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One reservation per head: its size is bounded first, so the writing itself checks nothing."""

from libc.string cimport memcpy, strlen

from linkerd2_py._ext.core.http_date cimport put_http_date
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED,
    FORM_ABSOLUTE,
    FORM_AUTHORITY,
    H_CONNECTION,
    H_CONTENT_LENGTH,
    H_HOST,
    H_HTTP2_SETTINGS,
    H_KEEP_ALIVE,
    H_PROXY_CONNECTION,
    H_TE,
    H_TRANSFER_ENCODING,
    H_UPGRADE,
    HTTP_10,
    HTTP_2,
    METHOD_CONNECT,
    Field,
)

cdef enum:
    FIXED_BYTES = 320      # request or status line words, framing and connection fields
    FIELD_BYTES = 4        # ": " and CRLF
    # Written anew or never: whatever their flags say, the parsed form decides.
    OURS = (
        1 << H_CONNECTION | 1 << H_CONTENT_LENGTH | 1 << H_TRANSFER_ENCODING | 1 << H_KEEP_ALIVE
        | 1 << H_PROXY_CONNECTION | 1 << H_HTTP2_SETTINGS
    )


cdef inline char* put(char* at, const char* text, size_t length) noexcept:
    memcpy(at, text, length)
    return at + length


cdef inline char* put_span(char* at, Span span) noexcept:
    memcpy(at, span.ptr, span.len)
    return at + span.len


cdef inline char* put_line_end(char* at) noexcept:
    at[0] = c"\r"
    at[1] = c"\n"
    return at + 2


cdef char* put_field(char* at, Field* field) noexcept:
    at = put(at, field.name, field.name_len)
    at[0] = c":"
    at[1] = c" "
    at = put(at + 2, field.value, field.value_len)
    return put_line_end(at)


cdef char* put_number(char* at, uint64_t number) noexcept:
    cdef char[20] digits
    cdef int left = 20
    while True:
        left -= 1
        digits[left] = <char> (48 + number % 10)
        number //= 10
        if number == 0:
            return put(at, digits + left, 20 - left)


cdef char* put_framing(char* at, Head head, Framing framing) noexcept:
    if framing == FRAME_CHUNKED:
        return put(at, "transfer-encoding: chunked\r\n", 28)
    if framing == FRAME_CLOSE or head.content_length < 0:
        return at
    at = put(at, "content-length: ", 16)
    at = put_number(at, <uint64_t> head.content_length)
    return put_line_end(at)


# Fields that travel as they are; a Host other than what was routed by does not.
cdef char* put_fields(char* at, Head head, int skipped) noexcept:
    cdef int i
    cdef Field* field
    for i in range(head.count):
        field = &head.fields[i]
        if not field.flags & FIELD_DROPPED and not skipped >> field.id & 1:
            at = put_field(at, field)
    return at


cdef size_t fields_size(Head head) noexcept:
    cdef int i
    cdef size_t total = 0
    for i in range(head.count):
        total += head.fields[i].name_len + head.fields[i].value_len + FIELD_BYTES
    return total


# ---- requests


cdef int write_request(Transport transport, Head head, Framing framing, bint absolute_form) except -1:
    cdef char* start
    cdef char* at
    cdef int skipped = OURS
    # Chunks do not exist in 1.0: a body without a length, which came over HTTP/2, needs 1.1.
    cdef bint is_10 = head.version == HTTP_10 and framing != FRAME_CHUNKED
    cdef bint host = head.find(H_HOST) == NULL or (says_it_twice(head) and head.authority.len > 0)
    cdef size_t bound = FIXED_BYTES + fields_size(head)
    bound += head.method.len + head.target.len + head.scheme.len + head.path.len
    start = transport.reserve(bound + 2 * head.authority.len)
    at = put_span(start, head.method)
    at = put(at, " ", 1)
    at = put_target(at, head, absolute_form)
    at = put(at, " HTTP/1.0\r\n" if is_10 else " HTTP/1.1\r\n", 11)
    if host and (head.authority.len or not is_10):
        at = put(at, "host: ", 6)
        at = put_span(at, head.authority)
        at = put_line_end(at)
    if host:
        skipped |= 1 << H_HOST
    if not head.upgrade:
        skipped |= 1 << H_UPGRADE
    at = put_fields(at, head, skipped)
    at = put_framing(at, head, framing)
    at = put_request_connection(at, head)
    at = put_line_end(at)
    transport.commit(at - start)
    return 0


# Whether the head names its authority beside the Host field too: then that one was routed by, and Host is
# written anew (RFC 9112 3.2.2).
cdef inline bint says_it_twice(Head head) noexcept:
    return head.form == FORM_ABSOLUTE or head.form == FORM_AUTHORITY or head.version == HTTP_2


cdef char* put_target(char* at, Head head, bint absolute_form) noexcept:
    if head.method_id == METHOD_CONNECT:
        return put_span(at, head.authority)
    if not absolute_form:
        return put_span(at, head.path)
    if head.form == FORM_ABSOLUTE and head.target.len:
        return put_span(at, head.target)
    if head.scheme.len:
        at = put_span(at, head.scheme)
    else:
        at = put(at, "http", 4)
    at = put(at, "://", 3)
    at = put_span(at, head.authority)
    if head.path.len == 1 and head.path.ptr[0] == c"*":
        return at
    return put_span(at, head.path)


# TE is a field of this connection: naming it is part of sending it (RFC 9110 10.1.4).
cdef char* put_request_connection(char* at, Head head) noexcept:
    cdef bint te = head.find(H_TE) != NULL
    if head.upgrade:
        return put(at, "connection: upgrade, te\r\n", 25) if te else put(at, "connection: upgrade\r\n", 21)
    return put(at, "connection: te\r\n", 16) if te else at


# ---- responses


cdef int write_response(Transport transport, Head head, int version, Framing framing, bint close) except -1:
    cdef char* start = transport.reserve(FIXED_BYTES + fields_size(head) + head.reason.len)
    cdef char* at = put_status_line(start, head, version)
    cdef bint keeps_upgrade = head.status == 101 or head.status == 426
    at = put_fields(at, head, OURS if keeps_upgrade else OURS | 1 << H_UPGRADE)
    if head.status >= 200 and head.status != 204:
        at = put_framing(at, head, framing)
    at = put_response_connection(at, version, close, keeps_upgrade and head.find(H_UPGRADE) != NULL)
    at = put_line_end(at)
    transport.commit(at - start)
    return 0


cdef char* put_response_connection(char* at, int version, bint close, bint upgrade) noexcept:
    if upgrade:
        if close:
            return put(at, "connection: upgrade, close\r\n", 28)
        return put(at, "connection: upgrade\r\n", 21)
    if close:
        return put(at, "connection: close\r\n", 19)
    return put(at, "connection: keep-alive\r\n", 24) if version == HTTP_10 else at


cdef int write_interim(Transport transport, Head head) except -1:
    cdef char* start = transport.reserve(FIXED_BYTES + fields_size(head) + head.reason.len)
    cdef char* at = put_status_line(start, head, -1)
    at = put_fields(at, head, OURS | 1 << H_UPGRADE)
    at = put_line_end(at)
    transport.commit(at - start)
    return 0


cdef char* put_status_line(char* at, Head head, int version) noexcept:
    cdef const char* phrase
    at = put(at, "HTTP/1.0 " if version == HTTP_10 else "HTTP/1.1 ", 9)
    at = put_number(at, <uint64_t> head.status)
    at = put(at, " ", 1)
    if head.reason.len:
        at = put_span(at, head.reason)
    else:
        phrase = reason_phrase(head.status)
        at = put(at, phrase, strlen(phrase))
    return put_line_end(at)


cdef int write_refusal(Transport transport, int status, const char* reason) except -1:
    cdef const char* phrase = reason_phrase(status)
    cdef char* start = transport.reserve(FIXED_BYTES + (strlen(reason) if reason != NULL else 0))
    cdef char* at = put(start, "HTTP/1.1 ", 9)
    at = put_number(at, <uint64_t> status)
    at = put(at, " ", 1)
    at = put(at, phrase, strlen(phrase))
    if reason != NULL:
        at = put(at, "\r\nl5d-proxy-connection: close\r\nl5d-proxy-error: ", 48)
        at = put(at, reason, strlen(reason))
    at = put(at, "\r\ndate: ", 8)
    at += put_http_date(at)
    at = put(at, "\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", 42)
    transport.commit(at - start)
    return 0


# ---- chunks


# Line, bytes and CRLF in one piece of the outbox: a CRLF of its own would travel in a segment of its own.
cdef int write_chunk(Transport transport, const char* p, size_t n) except -1:
    cdef char[16] digits
    cdef int left = 16
    cdef size_t size = n
    cdef char* start = transport.reserve(n + 20)
    cdef char* at
    while size:
        left -= 1
        digits[left] = <char> (c"0" + (size & 15) if (size & 15) < 10 else c"a" - 10 + (size & 15))
        size >>= 4
    at = put(start, digits + left, 16 - left)
    at = put_line_end(at)
    at = put(at, p, n)
    at = put_line_end(at)
    transport.commit(at - start)
    return 0


cdef int write_last_chunk(Transport transport, Head trailers) except -1:
    cdef char* start = transport.reserve(FIXED_BYTES + (fields_size(trailers) if trailers is not None else 0))
    cdef char* at = put(start, "0\r\n", 3)
    if trailers is not None:
        at = put_fields(at, trailers, OURS | 1 << H_HOST | 1 << H_UPGRADE | 1 << H_TE)
    at = put_line_end(at)
    transport.commit(at - start)
    return 0


# ---- words


ctypedef const char* Phrase

cdef Phrase[600] phrases


cdef const char* reason_phrase(int status) noexcept:
    if 0 <= status < 600 and phrases[status] != NULL:
        return phrases[status]
    return ""


# RFC 9110 section 15 and the registry beside it.
for _status, _phrase in {
    100: b"Continue", 101: b"Switching Protocols", 103: b"Early Hints", 200: b"OK", 201: b"Created",
    202: b"Accepted", 203: b"Non-Authoritative Information", 204: b"No Content", 205: b"Reset Content",
    206: b"Partial Content", 300: b"Multiple Choices", 301: b"Moved Permanently", 302: b"Found",
    303: b"See Other", 304: b"Not Modified", 307: b"Temporary Redirect", 308: b"Permanent Redirect",
    400: b"Bad Request", 401: b"Unauthorized", 402: b"Payment Required", 403: b"Forbidden",
    404: b"Not Found", 405: b"Method Not Allowed", 406: b"Not Acceptable",
    407: b"Proxy Authentication Required", 408: b"Request Timeout", 409: b"Conflict", 410: b"Gone",
    411: b"Length Required", 412: b"Precondition Failed", 413: b"Content Too Large", 414: b"URI Too Long",
    415: b"Unsupported Media Type", 416: b"Range Not Satisfiable", 417: b"Expectation Failed",
    421: b"Misdirected Request", 422: b"Unprocessable Content", 425: b"Too Early", 426: b"Upgrade Required",
    428: b"Precondition Required", 429: b"Too Many Requests", 431: b"Request Header Fields Too Large",
    451: b"Unavailable For Legal Reasons", 500: b"Internal Server Error", 501: b"Not Implemented",
    502: b"Bad Gateway", 503: b"Service Unavailable", 504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported", 508: b"Loop Detected", 511: b"Network Authentication Required",
}.items():
    _kept_phrases = globals().setdefault("_kept_phrases", [])
    _kept_phrases.append(_phrase)
    phrases[<int> _status] = <const char*> <bytes> _phrase
