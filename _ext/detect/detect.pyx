# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Which protocol a client speaks, from its first bytes. Pure: the bytes stay where they are, and the waiting
is bounded.

How strict a request is judged is the parser's business: a line that could be HTTP to anybody goes there, to
be answered rather than forwarded unseen.
"""

from linkerd2_py._ext.core.scan cimport TOKEN, is_class, next_control, skip_class

cdef enum:
    # linkerd2-proxy's peek: text without an end, whose first word is no method in use, is not waited for any
    # longer.
    WORD_ENOUGH = 1024
    # The same after a method in use; fits an inbox.
    LINE_MAX = 8192
    LONGEST_METHOD = 7     # OPTIONS, CONNECT
    TLS_NEEDED = 6         # a record's header, and the type of the first message in it
    HANDSHAKE = 0x16       # type of a TLS record
    DELETE = 0x7F          # the control byte among ASCII's last

cdef const char* PREFACE = b"PRI * HTTP/2.0"   # of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", RFC 9113 3.4
cdef size_t PREFACE_LEN = 14                   # its first line


cdef Protocol detect(const char* p, size_t n) noexcept nogil:
    cdef const unsigned char* bytes = <const unsigned char*> p
    cdef Protocol found
    if n == 0:
        return PROTO_MORE
    if bytes[0] == HANDSHAKE:
        return _tls(bytes, n)
    found = _preface(bytes, n)
    if found == PROTO_OPAQUE:
        found = _request_line(bytes, n if n < WORD_ENOUGH else WORD_ENOUGH)
        if found == PROTO_MORE:
            found = _line(bytes, n)
    return found


cdef Protocol detect_http(const char* p, size_t n) noexcept nogil:
    cdef const unsigned char* bytes = <const unsigned char*> p
    cdef Protocol found = PROTO_MORE
    if n:
        found = _tls(bytes, n) if bytes[0] == HANDSHAKE else _preface(bytes, n)
    return PROTO_HTTP1 if found == PROTO_OPAQUE else found


cdef bint may_ask(const char* p, size_t n) noexcept nogil:
    return n > 0 and <unsigned char> p[0] != HANDSHAKE and detect(p, n) == PROTO_MORE


cdef Protocol _tls(const unsigned char* p, size_t n) noexcept nogil:
    """RFC 8446 5.1 and 4: a handshake record, version 3.0 to 3.4, of plausible length, that begins a
    ClientHello."""
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
    """method SP target SP HTTP-version, RFC 9112 3: HTTP as soon as its version has come, whatever that
    is."""
    cdef size_t method = _after_empty_lines(p, n)
    cdef size_t target = _token_end(p, n, method) + 1, version
    if target > n or target == method + 1 or p[target - 1] != c" ":
        return PROTO_MORE
    version = target
    while version < n and p[version] > c" " and p[version] != DELETE:
        version += 1
    if version == target or n - version < 9 or p[version] != c" ":
        return PROTO_MORE
    if _is_version(p + version + 1) and p[version + 7] == c"." and c"0" <= p[version + 8] <= c"9":
        return PROTO_HTTP1
    return PROTO_MORE


cdef size_t _after_empty_lines(const unsigned char* p, size_t n) noexcept nogil:
    cdef size_t i = 0
    while n - i >= 2 and p[i] == c"\r" and p[i + 1] == c"\n":
        i += 2
    return i


cdef size_t _token_end(const unsigned char* p, size_t n, size_t i) noexcept nogil:
    return <const unsigned char*> skip_class(<const char*> p + i, <const char*> p + n, TOKEN) - p


cdef Protocol _line(const unsigned char* p, size_t n) noexcept nogil:
    """The first line that is not blank: servers skip those before it."""
    cdef size_t begin = _after_blank(p, n, 0), word = _after_spaces(p, n, begin)
    cdef bint asks = _is_method(p + word, n - word)
    cdef size_t limit = LINE_MAX if asks or word == n else WORD_ENOUGH
    cdef Protocol found
    if n > limit:
        n = limit
    if word >= n:
        # Nobody but an HTTP client begins with so many empty lines.
        return PROTO_HTTP1 if n == limit else PROTO_MORE
    if not asks and not is_class(p[begin], TOKEN):
        return PROTO_OPAQUE
    if asks:
        # What is before it is white space to somebody.
        begin = word
    found = _request(p + begin, p + n) if asks else _text(p + begin, p + n)
    if found != PROTO_MORE:
        return found
    if n >= WORD_ENOUGH and _has_target(p + begin, WORD_ENOUGH - begin):
        return PROTO_HTTP1
    if n < limit:
        return PROTO_MORE
    return PROTO_HTTP1 if asks else PROTO_OPAQUE


cdef Protocol _request(const unsigned char* p, const unsigned char* end) noexcept nogil:
    """A line that begins with a method in use: whatever is in it, its end decides.

    Some servers end a line at a bare CR.
    """
    cdef const unsigned char* at = p
    while at < end:
        if at[0] == c"\r" or at[0] == c"\n":
            if _ends_in_version(p, at):
                return PROTO_HTTP1
            if at[0] == c"\n":
                return PROTO_OPAQUE
        at += 1
    return PROTO_MORE


cdef Protocol _text(const unsigned char* p, const unsigned char* end) noexcept nogil:
    """Any other line, as long as it is one: no control byte but HTAB."""
    cdef const unsigned char* at = <const unsigned char*> next_control(<const char*> p, <const char*> end)
    if at == end:
        return PROTO_MORE
    if at[0] != c"\r" and at[0] != c"\n":
        return PROTO_OPAQUE
    return PROTO_HTTP1 if _ends_in_version(p, at) else PROTO_OPAQUE


cdef inline bint _is_space(unsigned char c) noexcept nogil:
    """What some server takes for white space: ASCII's, and what Latin-1 and Unicode add to it."""
    return c == c" " or c"\t" <= c <= c"\r" or 0x1C <= c <= 0x1F or c == 0x85 or c == 0xA0


cdef size_t _after_blank(const unsigned char* p, size_t n, size_t i) noexcept nogil:
    while i < n and (p[i] == c"\r" or p[i] == c"\n" or p[i] == c" " or p[i] == c"\t"):
        i += 1
    return i


cdef size_t _after_spaces(const unsigned char* p, size_t n, size_t i) noexcept nogil:
    while i < n and _is_space(p[i]):
        i += 1
    return i


cdef bint _is_method(const unsigned char* p, size_t n) noexcept nogil:
    """Whether a method in use begins here, in any case, or as much of one as there is.

    Behind it a server may take anything for a request line.
    """
    cdef size_t size = 0
    while size < n and size <= LONGEST_METHOD and c"a" <= (p[size] | 0x20) <= c"z":
        size += 1
    if size == 0 or size < n and is_class(p[size], TOKEN):
        return False
    return (
        _begins(p, size, n, b"GET", 3) or _begins(p, size, n, b"POST", 4) or _begins(p, size, n, b"PUT", 3)
        or _begins(p, size, n, b"HEAD", 4) or _begins(p, size, n, b"DELETE", 6)
        or _begins(p, size, n, b"PATCH", 5) or _begins(p, size, n, b"OPTIONS", 7)
        or _begins(p, size, n, b"CONNECT", 7) or _begins(p, size, n, b"TRACE", 5)
    )


cdef inline bint _begins(
    const unsigned char* p, size_t size, size_t n, const char* method, size_t length,
) noexcept nogil:
    """The word of `size` letters is the method, or its beginning where nothing follows yet."""
    cdef size_t i
    if size != length and (size > length or size < n):
        return False
    for i in range(size):
        if p[i] & 0xDF != <unsigned char> method[i]:
            return False
    return True


cdef bint _ends_in_version(const unsigned char* p, const unsigned char* end) noexcept nogil:
    """Whether the last word has `HTTP/` and a digit in it, in any case: HTTP/1.1, http/01.1, xHTTP/1.1x."""
    cdef const unsigned char* at
    while end > p and _is_space((end - 1)[0]):
        end -= 1
    at = end
    while at > p and not _is_space((at - 1)[0]):
        at -= 1
    while end - at >= 6:
        if _is_version(at):
            return True
        at += 1
    return False


cdef inline bint _is_version(const unsigned char* p) noexcept nogil:
    return _is_http(p) and p[4] == c"/" and c"0" <= p[5] <= c"9"


cdef inline bint _is_http(const unsigned char* p) noexcept nogil:
    """Four letters, in any case: bit 0x20 is what tells small from capital ones."""
    return p[0] | 0x20 == c"h" and p[1] | 0x20 == c"t" and p[2] | 0x20 == c"t" and p[3] | 0x20 == c"p"


cdef bint _has_target(const unsigned char* p, size_t n) noexcept nogil:
    """Whether the second word begins as a target does and has no end yet: no command has such a word."""
    cdef size_t i = _word_end(p, n, 0), begin = _after_spaces(p, n, i)
    if begin + 4 > n or _word_end(p, n, begin) < n:
        return False
    return p[begin] == c"/" or _is_http(p + begin)


cdef size_t _word_end(const unsigned char* p, size_t n, size_t i) noexcept nogil:
    while i < n and not _is_space(p[i]):
        i += 1
    return i
