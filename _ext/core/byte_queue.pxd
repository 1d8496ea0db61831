"""A queue of bytes in leased buffers. Memory and time are linear in the bytes, in whatever pieces they come; empty, it holds no buffer."""

from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.types cimport Span

cdef class ByteQueue:
    cdef size_t size                 # bytes waiting
    cdef Buffer first                # leased, and the others behind it as its `next`; None when empty
    cdef Buffer last                 # where the next bytes go; None when empty
    # Copies: fills the last buffer before it leases another. After a MemoryError it holds the bytes that it
    # had room for, and is sound.
    cdef int put(self, const char* p, size_t n) except -1
    cdef int take(self, char* to, size_t n) noexcept        # n <= size
    # The bytes at the front that stand together: all of them, or the rest of the first buffer. Borrowed until
    # they are skipped, taken or cleared; put moves nothing.
    cdef Span peek(self) noexcept
    cdef int skip(self, size_t n) noexcept                  # n <= size
    cdef int clear(self) noexcept                           # idempotent
    cdef Buffer extend(self, size_t n)
    cdef int drop_first(self) noexcept
