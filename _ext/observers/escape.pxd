"""Bytes from strangers as text that ends no line, leaves no quotes and does nothing to a terminal
(header-only)."""

from libc.string cimport memcpy

cdef enum Style:
    STYLE_JSON                 # within the quotes of a string: \u0000
    # As Apache's httpd writes it, \x00, and no space either: for what other words stand beside.
    STYLE_APACHE

cdef enum:
    ESCAPED_MOST = 6           # bytes that one byte may become
    CUT = 3                    # ...

# Into `at`, which has room for `room` bytes, at least ESCAPED_MOST + CUT; what does not fit is cut off, which
# three dots say. How many bytes were written.
cdef inline size_t put_escaped(char* at, size_t room, const char* p, size_t n, Style style) noexcept nogil:
    cdef const char* digits = "0123456789abcdef"
    cdef const char* end = p + n
    cdef char* to = at
    # Up to here one more byte and the dots fit, whatever they become.
    cdef char* last = at + room - ESCAPED_MOST - CUT
    cdef unsigned char c
    while p < end:
        if to > last:
            memcpy(to, b"...", CUT)
            return to + CUT - at
        c = <unsigned char> p[0]
        p += 1
        if c == c'"' or c == c"\\":
            to[0] = c"\\"
            to[1] = <char> c
            to += 2
        elif 32 < c < 127 or c == 32 and style == STYLE_JSON:
            to[0] = <char> c
            to += 1
        else:
            memcpy(to, b"\\u00" if style == STYLE_JSON else b"\\x", 4 if style == STYLE_JSON else 2)
            to += 4 if style == STYLE_JSON else 2
            to[0] = digits[c >> 4]
            to[1] = digits[c & 15]
            to += 2
    return to - at


# In decimal, 20 bytes at most.
cdef inline size_t put_decimal(char* at, unsigned long long value) noexcept nogil:
    cdef char[20] room
    cdef size_t n = 0
    while True:
        room[19 - n] = <char> (c"0" + value % 10)
        value //= 10
        n += 1
        if value == 0:
            break
    memcpy(at, &room[20 - n], n)
    return n
