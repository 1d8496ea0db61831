"""HTTP/1 heads, chunk lines and trailers, written from the parsed form into reserved room of a transport's
outbox."""

from libc.stdint cimport uint64_t
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.io.transport cimport Transport

cdef enum Framing:
    FRAME_NONE, FRAME_LENGTH, FRAME_CHUNKED, FRAME_CLOSE

# Dropped fields are skipped; framing and connection fields are always written anew. FRAME_NONE still tells a
# known content_length (0, or that of a HEAD). Without `absolute_form` the target is in origin-form even if it
# came otherwise.
cdef int write_request(Transport transport, Head head, Framing framing, bint absolute_form) except -1
# `version` is the client's; `close` adds connection: close, its absence keep-alive for 1.0.
cdef int write_response(Transport transport, Head head, int version, Framing framing, bint close) except -1
cdef int write_interim(Transport transport, Head head) except -1
# n > 0: zero would end the body.
cdef int write_chunk(Transport transport, const char* p, size_t n) except -1
cdef int write_last_chunk(Transport transport, Head trailers) except -1    # trailers may be None
# A whole response without body that closes: what a client gets whose bytes we refuse. `reason` NULL: no l5d-*
# fields.
cdef int write_refusal(Transport transport, int status, const char* reason) except -1
# The registered phrase; "" for a status without one.
cdef const char* reason_phrase(int status) noexcept
