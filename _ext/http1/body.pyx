# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A byte-wise state machine for chunk lines (bounded, so any split works) and runs for everything else."""

from libc.stdint cimport INT64_MAX
from libc.string cimport memmove, memset

from linkerd2_py._ext.http1.faults cimport (
    BAD_CHUNK_END,
    BAD_CHUNK_EXTENSION,
    BAD_CHUNK_SIZE,
    CHUNK_LINE_TOO_LONG,
    EXTENSIONS_TOO_LARGE,
)
from linkerd2_py._ext.http1.parser cimport parse_trailers
from linkerd2_py._ext.core.scan cimport TOKEN, is_class

cdef enum ChunkState:
    SIZE_FIRST       # the first digit of a size
    SIZE
    EXTENSION_FIRST  # after ";": a name must follow
    EXTENSION
    SIZE_LF
    CONTENT
    CONTENT_CR
    CONTENT_LF
    TRAILER

cdef enum:
    MAX_SIZE_DIGITS = 16     # leading zeros included: nothing real needs more
    SMALL_CHUNK = 2048       # up to here moving it costs less than handing it on by itself


cdef void body_begin(Body* body, Head head) noexcept:
    memset(body, 0, sizeof(Body))
    if head.end:
        body.kind = BODY_NONE
        body.done = True
    elif head.chunked:
        body.kind = BODY_CHUNKED
        body.state = SIZE_FIRST
    elif head.content_length >= 0:
        body.kind = BODY_LENGTH
        body.remaining = head.content_length
    else:
        body.kind = BODY_UNTIL_CLOSE


cdef int64_t body_next(Body* body, char* p, size_t n, Span* out, Head trailers, Limits limits) noexcept:
    out.ptr = p
    out.len = 0
    if body.done or n == 0:
        return 0
    if body.kind == BODY_CHUNKED:
        return next_chunked(body, p, n, out, trailers, limits)
    if body.kind == BODY_LENGTH:
        take(body, n, out)
        body.done = body.remaining == 0
    elif body.kind == BODY_UNTIL_CLOSE:
        out.len = n
    return <int64_t> out.len


cdef inline void take(Body* body, size_t n, Span* out) noexcept:
    out.len = n if <int64_t> n < body.remaining else <size_t> body.remaining
    body.remaining -= <int64_t> out.len


cdef int64_t next_chunked(Body* body, char* p, size_t n, Span* out, Head trailers, Limits limits) noexcept:
    cdef size_t at = 0
    cdef int fault = next_line(body, p, n, &at, limits)
    if fault:
        return -fault
    if at == n:
        return at
    if body.state == TRAILER:
        return next_trailer(body, p, n, at, trailers, limits)
    out.ptr = p + at
    take(body, n - at, out)
    at += out.len
    if body.remaining == 0:
        body.state = CONTENT_CR
        at = gather(body, p, n, at, out, limits)
    return <int64_t> at


# Framing up to the next content or trailer, or to the end of what is here. A fault, or 0.
cdef int next_line(Body* body, const char* p, size_t n, size_t* at, Limits limits) noexcept:
    cdef int fault
    while at[0] < n and body.state != CONTENT and body.state != TRAILER:
        fault = chunk_byte(body, <unsigned char> p[at[0]], limits)
        if fault:
            return fault
        at[0] += 1
    return 0


# Moves the small chunks that follow up to the end of `out`; where it stopped. What is wrong behind them is
# found by the next call.
cdef size_t gather(Body* body, char* p, size_t n, size_t at, Span* out, Limits limits) noexcept:
    cdef Body before
    cdef Span run
    cdef size_t start
    while at < n:
        before = body[0]
        start = at
        if next_line(body, p, n, &at, limits):
            body[0] = before
            return start
        if at == n or body.state == TRAILER or body.remaining > SMALL_CHUNK:
            return at
        take(body, n - at, &run)
        memmove(<char*> out.ptr + out.len, p + at, run.len)
        out.len += run.len
        at += run.len
        if body.remaining == 0:
            body.state = CONTENT_CR
    return at


cdef int64_t next_trailer(
    Body* body, const char* p, size_t n, size_t at, Head trailers, Limits limits,
) noexcept:
    cdef int length = parse_trailers(p + at, n - at, &body.scanned, trailers, limits)
    if length < 0:
        return length
    if length > 0:
        body.done = True
    return <int64_t> at + length


# One byte of a chunk line or of the CRLF after a chunk: digits, CRLF and a bounded extension, nothing else.
cdef int chunk_byte(Body* body, unsigned char c, Limits limits) noexcept:
    cdef int state = body.state
    if state == CONTENT_CR:
        body.state = CONTENT_LF
        return 0 if c == c"\r" else BAD_CHUNK_END
    if state == CONTENT_LF:
        body.state = SIZE_FIRST
        return 0 if c == c"\n" else BAD_CHUNK_END
    if state == SIZE_LF:
        return end_chunk_line(body, c)
    body.line_bytes += 1
    if body.line_bytes > <uint32_t> limits.chunk_line_bytes:
        return CHUNK_LINE_TOO_LONG
    if state == SIZE_FIRST or state == SIZE:
        return size_byte(body, c)
    return extension_byte(body, c, limits)


cdef int size_byte(Body* body, unsigned char c) noexcept:
    cdef int digit = hex_digit(c)
    if digit >= 0:
        if body.line_bytes > MAX_SIZE_DIGITS or body.remaining > (INT64_MAX >> 4):
            return BAD_CHUNK_SIZE
        body.remaining = body.remaining * 16 + digit
        body.state = SIZE
        return 0
    if body.state == SIZE_FIRST:
        return BAD_CHUNK_SIZE
    if c == c"\r":
        body.state = SIZE_LF
        return 0
    if c == c";":
        body.state = EXTENSION_FIRST
        return 0
    return BAD_CHUNK_SIZE


cdef inline int hex_digit(unsigned char c) noexcept:
    if c"0" <= c <= c"9":
        return c - c"0"
    # To lower case.
    c |= 32
    return c - c"a" + 10 if c"a" <= c <= c"f" else -1


cdef int extension_byte(Body* body, unsigned char c, Limits limits) noexcept:
    body.extension_bytes += 1
    if body.extension_bytes > <uint32_t> limits.chunk_extension_bytes:
        return EXTENSIONS_TOO_LARGE
    if body.state == EXTENSION_FIRST:
        body.state = EXTENSION
        return 0 if is_class(c, TOKEN) else BAD_CHUNK_EXTENSION
    if c == c"\r":
        body.state = SIZE_LF
        return 0
    return 0 if c" " <= c <= c"~" else BAD_CHUNK_EXTENSION


cdef int end_chunk_line(Body* body, unsigned char c) noexcept:
    if c != c"\n":
        return BAD_CHUNK_SIZE if body.extension_bytes == 0 else BAD_CHUNK_EXTENSION
    body.line_bytes = 0
    body.state = CONTENT if body.remaining > 0 else TRAILER
    body.scanned = 0
    return 0
