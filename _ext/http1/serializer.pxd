"""HTTP/1 heads, chunk lines and trailers, written from the parsed form into reserved room of a transport's outbox."""

from libc.stdint cimport uint64_t
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.io.transport cimport Transport

cdef enum Framing:
    FRAME_NONE, FRAME_LENGTH, FRAME_CHUNKED, FRAME_CLOSE

# Dropped fields are skipped; framing fields are always written anew from head.content_length / framing. `close` adds connection: close (HTTP/1.1) or keep-alive for 1.0 as needed.
cdef int write_request(Transport transport, Head head, Framing framing, bint absolute_form) except -1
cdef int write_response(Transport transport, Head head, int version, Framing framing, bint close) except -1
cdef int write_interim(Transport transport, Head head) except -1
cdef int write_chunk_line(Transport transport, uint64_t size) except -1     # size CRLF; the caller sends the bytes, then write_chunk_end
cdef int write_last_chunk(Transport transport, Head trailers) except -1    # trailers may be None
