"""Bytes of protobuf, written from front to back."""

from cython cimport final
from libc.stdint cimport uint32_t, uint64_t

@final
cdef class Wire:
    """Grows up to `most`. Whatever does not fit is not written, and `full` says so from then on, until what
    was written is taken back: the writer asks once, at the end."""
    cdef char* start                   # owned
    cdef size_t size, room, most
    cdef bint full
    cdef int clear(self) noexcept
    # Back to an earlier size, as if nothing had been written since.
    cdef int take_back(self, size_t size) noexcept
    cdef int free_all(self) noexcept
    cdef int raw(self, const char* p, size_t n) noexcept
    cdef int varint(self, uint64_t value) noexcept
    cdef int fixed32(self, int field, uint32_t value) noexcept
    # The bytes of a number in network order, as a fixed64
    cdef int fixed64(self, int field, const unsigned char* big_endian) noexcept
    cdef int number(self, int field, uint64_t value) noexcept
    cdef int text(self, int field, const char* p, size_t n) noexcept
    # The same for a `string`: what is not printable ASCII is written as %XX.
    cdef int printable(self, int field, const char* p, size_t n) noexcept
    # A message of this field, up to the `end` that gets what `begin` has answered
    cdef size_t begin(self, int field) noexcept
    cdef int end(self, size_t at) noexcept
    cdef bint make_room(self, size_t n) noexcept
