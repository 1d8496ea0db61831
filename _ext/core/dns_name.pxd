"""DNS names: what is one, and when two are the same (header-only)."""

from libc.string cimport memchr

from linkerd2_py._ext.core.types cimport Span

cdef enum:
    DNS_NAME_MAX = 253      # characters without the root's dot: 255 bytes in DNS, RFC 1035 2.3.4
    DNS_LABEL_MAX = 63      # two bits of its length byte say something else, RFC 1035 2.3.4

# Labels of letters, digits, "-" and "_", separated by dots. None is empty, none begins or ends with "-", and
# the last is no number: what looks like an IPv4 address is none of our names (RFC 1123 2.1). The root's dot
# at the end is the caller's business.
cdef inline bint is_dns_name(const char* p, size_t n) noexcept nogil:
    cdef const char* end = p + n
    cdef const char* dot
    if n == 0 or n > DNS_NAME_MAX:
        return False
    while True:
        dot = <const char*> memchr(p, c".", end - p)
        if dot == NULL:
            return is_dns_label(p, end - p) and not is_digits(p, end - p)
        if not is_dns_label(p, dot - p):
            return False
        p = dot + 1

cdef inline bint is_dns_label(const char* p, size_t n) noexcept nogil:
    cdef size_t i
    if n == 0 or n > DNS_LABEL_MAX or p[0] == c"-" or p[n - 1] == c"-":
        return False
    for i in range(n):
        if not (c"a" <= lower(p[i]) <= c"z" or c"0" <= p[i] <= c"9" or p[i] == c"-" or p[i] == c"_"):
            return False
    return True

cdef inline bint is_digits(const char* p, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        if not c"0" <= p[i] <= c"9":
            return False
    return True

# Upper and lower case are one, RFC 4343; every other byte is only itself.
cdef inline bint same_name(Span a, const char* b, size_t n) noexcept nogil:
    cdef size_t i
    if a.len != n:
        return False
    for i in range(n):
        if lower(a.ptr[i]) != lower(b[i]):
            return False
    return True

cdef inline char lower(char c) noexcept nogil:
    return c + (c"a" - c"A") if c"A" <= c <= c"Z" else c
