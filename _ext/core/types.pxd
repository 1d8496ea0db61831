"""The C types of the engine, once (header-only)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

# A borrowed run of bytes: valid only as long as the memory it points into is held by someone else.
cdef struct Span:
    const char* ptr
    size_t len
