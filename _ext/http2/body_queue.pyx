# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A queue of bytes over leased buffers: copied in once, copied out once, into a frame."""

from libc.string cimport memcpy
from linkerd2_py._ext.core.buffer cimport BUFFER_LARGE, BUFFER_SMALL, give_back, lease


cdef class BodyQueue:
    cdef int put(self, const char* p, size_t n) except -1:
        cdef Buffer last = self.last
        cdef size_t part
        self.size += n
        while n:
            if last is None or last.room() == 0:
                last = self.extend(n)
            part = min(n, last.room())
            last.append(p, part)
            p += part
            n -= part
        return 0

    cdef Buffer extend(self, size_t n):
        cdef Buffer fresh = lease(BUFFER_LARGE if n > BUFFER_SMALL else BUFFER_SMALL)
        if self.first is None:
            self.first = fresh
        elif self.rest is None:
            self.rest = [fresh]
        else:
            self.rest.append(fresh)
        self.last = fresh
        return fresh

    cdef int take(self, char* to, size_t n) except -1:
        cdef Buffer first
        cdef size_t part
        self.size -= n
        while n:
            first = self.first
            part = min(n, first.size())
            memcpy(to, first.head(), part)
            first.skip(part)
            to += part
            n -= part
            if first.size() == 0:
                self.drop_first()
        return 0

    cdef int drop_first(self) except -1:
        give_back(self.first)
        self.first = <Buffer> self.rest.pop(0) if self.rest else None
        if self.first is None:
            self.last = None
        return 0

    cdef int clear(self) except -1:
        while self.first is not None:
            self.drop_first()
        self.rest = None
        self.size = 0
        return 0
