# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Copied in once, and copied out or lent out once."""

from libc.string cimport memcpy

from linkerd2_py._ext.core.buffer cimport BUFFER_LARGE, BUFFER_TINY, give_back, lease, lease_tiny
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, check


cdef class ByteQueue:
    cdef int spread(self, const char* p, size_t n) except -1:
        cdef Buffer last = self.last
        cdef size_t part
        while n:
            if last is None or last.room() == 0:
                last = self.extend(min(n, <size_t> BUFFER_LARGE))
            part = min(n, last.room())
            last.append(p, part)
            self.size += part
            p += part
            n -= part
        return 0

    cdef Buffer extend(self, size_t room):
        cdef Buffer fresh
        if self.last is not None:
            self.last.next = fresh = lease(room)
        else:
            # Small messages wait by the thousand.
            self.first = fresh = lease(room) if self.roomy or room > BUFFER_TINY else lease_tiny()
        self.last = fresh
        return fresh

    cdef int take(self, char* to, size_t n) noexcept:
        cdef Buffer first
        cdef size_t part
        if L5D_DEBUG:
            check(n <= self.size, b"more bytes taken from a queue than it holds")
        while n:
            first = self.first
            part = min(n, first.size())
            memcpy(to, first.head(), part)
            self.skip(part)
            to += part
            n -= part
        return 0

    cdef Span peek(self) noexcept:
        cdef Span span
        span.ptr = NULL
        span.len = 0
        if self.first is not None:
            span.ptr = self.first.head()
            span.len = self.first.size()
        return span

    cdef int skip(self, size_t n) noexcept:
        cdef size_t part
        if L5D_DEBUG:
            check(n <= self.size, b"more bytes skipped in a queue than it holds")
        self.size -= n
        while n:
            part = self.first.size()
            if n < part:
                self.first.skip(n)
                return 0
            n -= part
            self.drop_first()
        return 0

    cdef inline int drop_first(self) noexcept:
        cdef Buffer first = self.first
        self.first = first.next
        first.next = None
        if self.first is None:
            self.last = None
        give_back(first)
        return 0

    cdef int clear(self) noexcept:
        # One by one: a long chain dropped at its head would be freed by recursion.
        while self.first is not None:
            self.drop_first()
        self.size = 0
        return 0
