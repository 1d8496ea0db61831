# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Protobuf's encoding: tags, varints, and messages whose length stands before them."""

from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

cdef enum:
    FIRST_ROOM = 1024
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    FIXED32 = 5
    VARINT_ROOM = 10


cdef inline int put_varint(char* at, uint64_t value) noexcept nogil:
    cdef int n = 0
    while value > 127:
        at[n] = <char> (value & 127 | 128)
        value >>= 7
        n += 1
    at[n] = <char> value
    return n + 1


cdef inline bint is_printable(unsigned char c) noexcept nogil:
    return 32 <= c < 127


cdef class Wire:
    def __dealloc__(self):
        self.free_all()

    cdef int free_all(self) noexcept:
        free(self.start)
        self.start = NULL
        self.size = self.room = 0
        return 0

    cdef int clear(self) noexcept:
        return self.take_back(0)

    cdef int take_back(self, size_t size) noexcept:
        self.size = size
        self.full = False
        return 0

    cdef bint make_room(self, size_t n) noexcept:
        cdef size_t room = self.room if self.room else FIRST_ROOM
        cdef char* start
        if self.full or n > self.most - self.size:
            self.full = True
            return False
        if self.size + n <= self.room:
            return True
        while room < self.size + n:
            room *= 2
        start = <char*> realloc(self.start, room)
        if start == NULL:
            self.full = True
            return False
        self.start, self.room = start, room
        return True

    cdef int raw(self, const char* p, size_t n) noexcept:
        if self.make_room(n):
            memcpy(self.start + self.size, p, n)
            self.size += n
        return 0

    cdef int varint(self, uint64_t value) noexcept:
        if self.make_room(VARINT_ROOM):
            self.size += put_varint(self.start + self.size, value)
        return 0

    cdef int number(self, int field, uint64_t value) noexcept:
        self.varint(field << 3 | VARINT)
        return self.varint(value)

    cdef int fixed32(self, int field, uint32_t value) noexcept:
        cdef char[4] little
        cdef int i
        for i in range(4):
            little[i] = <char> (value >> 8 * i)
        self.varint(field << 3 | FIXED32)
        return self.raw(little, 4)

    cdef int fixed64(self, int field, const unsigned char* big_endian) noexcept:
        cdef char[8] little
        cdef int i
        for i in range(8):
            little[i] = <char> big_endian[7 - i]
        self.varint(field << 3 | FIXED64)
        return self.raw(little, 8)

    cdef int text(self, int field, const char* p, size_t n) noexcept:
        self.varint(field << 3 | LENGTH)
        self.varint(n)
        return self.raw(p, n)

    cdef int printable(self, int field, const char* p, size_t n) noexcept:
        cdef size_t i, odd = 0
        cdef unsigned char c
        cdef char[3] escaped
        for i in range(n):
            odd += not is_printable(<unsigned char> p[i])
        if odd == 0:
            return self.text(field, p, n)
        self.varint(field << 3 | LENGTH)
        self.varint(n + 2 * odd)
        escaped[0] = c"%"
        for i in range(n):
            c = <unsigned char> p[i]
            if is_printable(c):
                self.raw(p + i, 1)
            else:
                escaped[1] = "0123456789ABCDEF"[c >> 4]
                escaped[2] = "0123456789ABCDEF"[c & 15]
                self.raw(escaped, 3)
        return 0

    cdef size_t begin(self, int field) noexcept:
        self.varint(field << 3 | LENGTH)
        # Most messages are short: one byte of length, and room is made where that was wrong.
        self.raw("", 1)
        return self.size

    cdef int end(self, size_t at) noexcept:
        cdef char[VARINT_ROOM] length
        cdef size_t size = self.size - at
        cdef int n
        if self.full:
            return 0
        n = put_varint(length, size)
        if n > 1:
            if not self.make_room(n - 1):
                return 0
            memmove(self.start + at + n - 1, self.start + at, size)
            self.size += n - 1
        memcpy(self.start + at - 1, length, n)
        return 0
