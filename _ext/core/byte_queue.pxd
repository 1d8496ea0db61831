"""A queue of bytes in leased buffers.

Memory and time are linear in the bytes, in whatever pieces they come; empty, it holds no buffer.
"""

cimport cython
from libc.string cimport memcpy
from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.types cimport Span

@cython.final
cdef class ByteQueue:
    cdef size_t size                 # bytes waiting
    cdef Buffer first                # leased, and the others behind it as its `next`; None when empty
    cdef Buffer last                 # where the next bytes go; None when empty
    # Set once by an owner to whose first bytes others come at once: its buffers are never tiny.
    cdef bint roomy
    # Copies: fills the last buffer before it leases another. After a MemoryError it holds the bytes that it
    # had room for, and is sound. Of no bytes p may be NULL.
    cdef inline int put(self, const char* p, size_t n) except -1:
        if self.last is None or n == 0 or self.last.room() < n:
            return self.spread(p, n)
        memcpy(self.last.tail(), p, n)
        self.commit(n)
        return 0

    # Room for n bytes that stand together, for a producer that writes in place; commit says how many of them
    # it wrote, one at least: peek shows no empty buffer. Nothing is put, skipped or taken between the two.
    cdef inline char* reserve(self, size_t n) except NULL:
        cdef Buffer last = self.last
        if last is None or last.room() < n:
            last = self.extend(n)
        return last.tail()

    cdef inline void commit(self, size_t n) noexcept:
        self.last.end += n
        self.size += n

    cdef int take(self, char* to, size_t n) noexcept        # n <= size
    # The bytes at the front that stand together: all of them, or the rest of the first buffer. Borrowed until
    # they are skipped, taken or cleared; put moves nothing.
    cdef Span peek(self) noexcept
    # Whether all bytes stand together.
    cdef inline bint is_whole(self) noexcept:
        return self.first is self.last

    cdef int skip(self, size_t n) noexcept                  # n <= size
    cdef int clear(self) noexcept                           # idempotent
    cdef int spread(self, const char* p, size_t n) except -1
    cdef Buffer extend(self, size_t room)                   # leased: of at least so much room
    cdef int drop_first(self) noexcept
