"""Body bytes of one stream that wait for a window or for the transport, in leased buffers; empty, it holds none."""

from linkerd2_py._ext.core.buffer cimport Buffer

cdef class BodyQueue:
    cdef size_t size                 # bytes waiting
    cdef Buffer first                # leased, or None
    cdef Buffer last                 # where the next bytes go, or None
    cdef list rest                   # leased Buffers behind the first, or None
    cdef int put(self, const char* p, size_t n) except -1
    cdef int take(self, char* to, size_t n) except -1      # n <= size
    cdef int clear(self) except -1
    cdef Buffer extend(self, size_t n)
    cdef int drop_first(self) except -1
