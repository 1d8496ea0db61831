# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The pool of byte buffers: free lists, bounded, and their Python face for tests and idle trimming."""

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_BUFFER, born, check, gone
from linkerd2_py._ext.core.shelf cimport Shelf, shelf_keep, shelf_take

# 4 MiB of small and 2 MiB of large buffers stay warm, what a busy proxy has in use at once; a burst beyond
# that goes back to the allocator.
cdef enum:
    SPARE_TINY = 1024          # 1 MiB, and as many as a shelf holds
    SPARE_SMALL = 256
    SPARE_LARGE = 8

# Large buffers that stalled consumers may hold at once (8 MiB); a reader that is not stalled returns its own
# within its turn.
cdef Py_ssize_t LARGE_OUT = 32

cdef Shelf spare_tiny
cdef Shelf spare_small
cdef Shelf spare_large
cdef Py_ssize_t large_out = 0


# A queue of buffers is never a circle.
@cython.no_gc
cdef class Buffer:
    def __cinit__(self):
        self.mem = NULL
        self.capacity = 0
        self.start = 0
        self.end = 0
        self.leased = False

    def __dealloc__(self):
        global large_out
        # Dropped with its holder, not given back.
        if self.leased:
            if self.capacity == BUFFER_LARGE:
                large_out -= 1
            if L5D_DEBUG:
                gone(LIVE_BUFFER)
        free(self.mem)

    cdef void compact(self) noexcept:
        cdef size_t count = self.end - self.start
        if self.start == 0:
            return
        if count:
            memmove(self.mem, self.mem + self.start, count)
        self.start = 0
        self.end = count

    cdef int append(self, const char* src, size_t count) except -1:
        if L5D_DEBUG:
            check(self.capacity - self.end >= count, b"append beyond a buffer's room")
        memcpy(self.mem + self.end, src, count)
        self.end += count
        return 0


cdef Buffer lease(size_t capacity):
    global large_out
    cdef Buffer buffer
    if capacity <= BUFFER_SMALL:
        buffer = <Buffer> shelf_take(&spare_small) if spare_small.count else _allocate(BUFFER_SMALL)
    elif capacity <= BUFFER_LARGE:
        buffer = <Buffer> shelf_take(&spare_large) if spare_large.count else _allocate(BUFFER_LARGE)
        large_out += 1
    else:
        buffer = _allocate(capacity)
    return _leased(buffer)


cdef Buffer lease_tiny():
    return _leased(<Buffer> shelf_take(&spare_tiny) if spare_tiny.count else _allocate(BUFFER_TINY))


cdef inline Buffer _leased(Buffer buffer):
    buffer.start = 0
    buffer.end = 0
    buffer.leased = True
    if L5D_DEBUG:
        born(LIVE_BUFFER)
    return buffer


cdef Buffer lease_for_reading(size_t capacity):
    return lease(capacity if large_out < LARGE_OUT else <size_t> BUFFER_SMALL)


cdef Buffer _allocate(size_t capacity):
    cdef Buffer buffer = Buffer.__new__(Buffer)
    buffer.mem = <char*> malloc(capacity)
    if buffer.mem == NULL:
        raise MemoryError
    buffer.capacity = capacity
    return buffer


cdef void give_back(Buffer buffer) noexcept:
    global large_out
    if buffer is None or not buffer.leased:
        return
    buffer.leased = False
    if L5D_DEBUG:
        gone(LIVE_BUFFER)
    if buffer.capacity == BUFFER_SMALL and shelf_keep(&spare_small, buffer, SPARE_SMALL):
        return
    if buffer.capacity == BUFFER_TINY and shelf_keep(&spare_tiny, buffer, SPARE_TINY):
        return
    if buffer.capacity == BUFFER_LARGE:
        large_out -= 1
        if shelf_keep(&spare_large, buffer, SPARE_LARGE):
            return
    free(buffer.mem)
    buffer.mem = NULL
    buffer.capacity = 0
    buffer.start = 0
    buffer.end = 0


def spare() -> tuple[int, int]:
    """Small and large buffers that wait in the pool."""
    return spare_small.count, spare_large.count


def trim() -> None:
    """Frees every buffer that waits in the pool."""
    while spare_tiny.count:
        shelf_take(&spare_tiny)
    while spare_small.count:
        shelf_take(&spare_small)
    while spare_large.count:
        shelf_take(&spare_large)
