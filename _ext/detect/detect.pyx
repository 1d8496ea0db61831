# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Which protocol a client speaks, from its first bytes. Pure: the bytes stay where they are, the caller bounds the waiting.

Only what can still become an HTTP request line waits for more; everything else is opaque at its first impossible byte. How strict a
request is judged is the parser's business: a line that is HTTP in form goes there, to be answered rather than forwarded unseen.
"""

cdef enum:
    METHOD_MAX = 32        # longest registered method has 17 characters
    LINE_ENOUGH = 1024     # an absolute or origin-form target this long is HTTP, though the line's end is not here yet
    EMPTY_LINES = 2        # RFC 9112 2.2: a server ignores an empty line before the request line
    TLS_NEEDED = 6

cdef const char* PREFACE = b"PRI * HTTP/2.0"   # of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", RFC 9113 3.4
cdef size_t PREFACE_LEN = 14


cdef Protocol detect(const char* p, size_t n) noexcept nogil:
    cdef const unsigned char* bytes = <const unsigned char*> p
    if n == 0:
        return PROTO_MORE
    if bytes[0] == 0x16:
        return _tls(bytes, n)
    cdef Protocol found = _preface(bytes, n)
    return found if found != PROTO_OPAQUE else _request_line(bytes, n)


cdef Protocol _tls(const unsigned char* p, size_t n) noexcept nogil:
    """RFC 8446 5.1 and 4: a handshake record, version 3.0 to 3.4, of plausible length, that begins a ClientHello."""
    if n >= 2 and p[1] != 3:
        return PROTO_OPAQUE
    if n >= 3 and p[2] > 4:
        return PROTO_OPAQUE
    if n >= 5 and not 4 <= (p[3] << 8 | p[4]) <= 16384:
        return PROTO_OPAQUE
    if n < TLS_NEEDED:
        return PROTO_MORE
    return PROTO_TLS if p[5] == 1 else PROTO_OPAQUE


cdef Protocol _preface(const unsigned char* p, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n if n < PREFACE_LEN else PREFACE_LEN):
        if p[i] != <unsigned char> PREFACE[i]:
            return PROTO_OPAQUE
    return PROTO_HTTP2 if n >= PREFACE_LEN else PROTO_MORE


cdef Protocol _request_line(const unsigned char* p, size_t n) noexcept nogil:
    """method SP target SP HTTP-version, RFC 9112 3."""
    cdef size_t i = _after_empty_lines(p, n)
    cdef size_t begin = i
    if i > n:
        return PROTO_OPAQUE
    while i < n and _is_tchar(p[i]):
        i += 1
    if i - begin > METHOD_MAX:
        return PROTO_OPAQUE
    if i == n:
        return PROTO_MORE
    if i == begin or p[i] != c" ":
        return PROTO_OPAQUE
    return _target(p, n, i + 1)


cdef size_t _after_empty_lines(const unsigned char* p, size_t n) noexcept nogil:
    """Index behind leading CRLFs; n + 1 when they cannot be any."""
    cdef size_t i = 0
    cdef int lines = 0
    while i < n and lines < EMPTY_LINES and p[i] == c"\r":
        if i + 1 < n and p[i + 1] != c"\n":
            return n + 1
        i += 2
        lines += 1
    return i if i < n else n


cdef Protocol _target(const unsigned char* p, size_t n, size_t begin) noexcept nogil:
    cdef size_t i = begin
    while i < n and p[i] > 0x20 and p[i] != 0x7F:
        i += 1
    if i == n:
        if n >= LINE_ENOUGH and (p[begin] == c"/" or p[begin] | 0x20 == c"h"):
            return PROTO_HTTP1
        return PROTO_MORE
    if i == begin or p[i] != c" ":
        return PROTO_OPAQUE
    return _version(p + i + 1, n - i - 1)


cdef Protocol _version(const unsigned char* p, size_t n) noexcept nogil:
    """HTTP/DIGIT.DIGIT: any version, so that the parser can refuse those we do not speak."""
    cdef const char* name = b"HTTP/"
    cdef size_t i
    for i in range(n if n < 8 else 8):
        if i < 5 and p[i] != <unsigned char> name[i]:
            return PROTO_OPAQUE
        if i == 6 and p[i] != c".":
            return PROTO_OPAQUE
        if (i == 5 or i == 7) and not c"0" <= p[i] <= c"9":
            return PROTO_OPAQUE
    return PROTO_HTTP1 if n >= 8 else PROTO_MORE


cdef bint _is_tchar(unsigned char c) noexcept nogil:
    """RFC 9110 5.6.2."""
    if c"a" <= (c | 0x20) <= c"z" or c"0" <= c <= c"9":
        return True
    return c in (c"!", c"#", c"$", c"%", c"&", c"'", c"*", c"+", c"-", c".", c"^", c"_", c"`", c"|", c"~")
