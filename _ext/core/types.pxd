"""The C types of the engine, once (header-only)."""

# A borrowed run of bytes: valid only as long as the memory it points into is held by someone else.
cdef struct Span:
    const char* ptr
    size_t len
