"""What is kept of a request behind its head: what came before there was anyone to take it, and what was sent
and may have to be sent again."""

from cython cimport final
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Stream

cdef enum:
    KEPT_BYTES = 65536        # of one body that was sent and may have to be sent again, as Linkerd keeps

@final
cdef class Kept:
    """Of one exchange at a time; recycled with it."""
    cdef ByteQueue body               # owned
    cdef size_t sent                  # bytes in it that were sent: its share of what all may keep
    cdef Head trailers                # owned copy, or None
    # The body is here to its end, which may be nothing.
    cdef bint end
    cdef int put(self, const char* p, size_t n, bint end) except -1
    # The same of what was sent: the caller asks `may_be_kept` before.
    cdef int put_sent(self, const char* p, size_t n, bint end) except -1
    cdef int put_trailers(self, Head trailers) except -1
    cdef bint has_any(self) noexcept
    # All of it, to another half; it stays here. A SendOutcome.
    cdef int send(self, Stream client) except -1
    cdef int clear(self) except -1    # idempotent

# Whether there is room for so many more bytes among all that were sent and are kept.
cdef bint may_be_kept(size_t n) noexcept
# Owned by the caller: the fields of trailers, or of a response over HTTP/2 with its status, without what was
# dropped.
cdef Head copied(Head head)
