"""HTTP/1 body framing: by length, chunked, or until the connection ends. Bytes in, runs of body out. Only
small chunks are copied: they are moved together where they stand, so that what follows costs what the bytes
cost and not what their number of chunks does."""

from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport Head

cdef enum BodyKind:
    BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE

cdef struct Body:
    int kind
    int state                 # private to the chunk decoder
    int64_t remaining         # bytes left of the length or of the current chunk
    uint32_t line_bytes       # of the current chunk line
    uint32_t extension_bytes  # of the whole message
    size_t scanned            # of the trailer section
    bint done                 # the last byte of the message (trailers included) was consumed

# From a parsed head; head.end gives BODY_NONE, already done.
cdef void body_begin(Body* body, Head head) noexcept
# Consumes framing and yields one run of body bytes at a time: returns bytes consumed from p (>= 0), sets
# `out` (may be empty). < 0: -ParseFault. Framing between small chunks is overwritten by what follows it:
# p[:used] is the body's no more, except for `out`.
# 0 with nothing in `out`: more bytes are needed. `body.done` is set with the last run of a length, and after
# the trailer section of a chunked body.
# Trailers are collected into `trailers` as spans in p: nothing of the section is consumed until it is
# complete.
cdef int64_t body_next(Body* body, char* p, size_t n, Span* out, Head trailers, Limits limits) noexcept
