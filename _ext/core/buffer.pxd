"""Leased byte buffers. An idle connection holds none; the pool keeps a bounded number of free ones."""

cdef enum:
    BUFFER_TINY = 1024        # a small message that waits, one of very many
    BUFFER_SMALL = 16384      # heads, small bodies
    BUFFER_LARGE = 262144     # bulk: from here on copying is as fast as splice

cdef class Buffer:
    """`mem[start:end]` is content, `mem[end:capacity]` is room. One holder at a time."""
    cdef char* mem            # owned; malloc'ed once, kept while recycled, freed in __dealloc__
    cdef size_t capacity
    cdef size_t start
    cdef size_t end
    cdef bint leased
    cdef Buffer next          # owned link of the queue it stands in; None outside

    cdef inline size_t size(self) noexcept:
        return self.end - self.start

    cdef inline size_t room(self) noexcept:
        return self.capacity - self.end

    cdef inline char* head(self) noexcept:
        return self.mem + self.start

    cdef inline char* tail(self) noexcept:
        return self.mem + self.end

    cdef inline void skip(self, size_t count) noexcept:
        self.start += count

    cdef void compact(self) noexcept            # moves content to the front; invalidates spans into it
    cdef int append(self, const char* src, size_t count) except -1   # caller proved room() >= count

# Lease: returns an empty buffer of at least `capacity` bytes (SMALL or LARGE from free lists; others
# malloc'ed). Raises MemoryError.
cdef Buffer lease(size_t capacity)
# Of BUFFER_TINY bytes.
cdef Buffer lease_tiny()
# The same as lease, but small once many large ones are out: for readers whose consumer may stall with the
# buffer in hand, so that stalls cost 16 KiB each, not 256.
cdef Buffer lease_for_reading(size_t capacity)
# Gives it back (idempotent: a buffer not leased is ignored). The caller drops its reference afterwards.
cdef void give_back(Buffer buffer) noexcept
