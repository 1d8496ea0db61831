"""An append-only text buffer in C (header-only).

Failure is sticky: writers go on, the owner checks `failed` once per unit.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove, strlen

cdef struct Text:
    char* mem                 # owned by whoever holds the struct; text_free
    size_t length
    size_t room
    bint failed               # out of memory: the content is incomplete

cdef inline bint text_reserve(Text* text, size_t count) noexcept nogil:
    cdef size_t room
    cdef char* grown
    if text.length + count <= text.room:
        return True
    room = max(text.room * 2, text.length + count)
    grown = <char*> realloc(text.mem, room)
    if grown == NULL:
        text.failed = True
        return False
    text.mem = grown
    text.room = room
    return True

cdef inline void text_put(Text* text, const char* src, size_t count) noexcept nogil:
    if text_reserve(text, count):
        memcpy(text.mem + text.length, src, count)
        text.length += count

cdef inline void text_put_z(Text* text, const char* src) noexcept nogil:
    text_put(text, src, strlen(src))

cdef inline void text_put_number(Text* text, uint64_t number) noexcept nogil:
    cdef char digits[20]      # 2^64 has 20 digits
    cdef int at = 20
    while True:
        at -= 1
        digits[at] = <char> (48 + number % 10)
        number //= 10
        if number == 0:
            break
    text_put(text, digits + at, 20 - at)

cdef inline void text_drop(Text* text, size_t count) noexcept nogil:
    """Remove the first `count` bytes."""
    text.length -= count
    memmove(text.mem, text.mem + count, text.length)

cdef inline void text_free(Text* text) noexcept nogil:
    free(text.mem)
    text.mem = NULL
    text.length = text.room = 0
