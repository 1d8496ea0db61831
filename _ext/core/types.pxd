"""The C types of the engine, once (header-only)."""

# True or False in one byte: for the fields of what there is one of per connection.
ctypedef unsigned char flag

# A borrowed run of bytes: valid only as long as the memory it points into is held by someone else.
cdef struct Span:
    const char* ptr
    size_t len
