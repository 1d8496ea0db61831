# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A location is written in one piece: its size is known before."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, memcpy

from linkerd2_py._ext.exchange.head cimport METHOD_CONNECT, equals_lower
from linkerd2_py._ext.exchange.new_path cimport Halves
from linkerd2_py._ext.exchange.sound cimport is_authority, is_host

STATUSES = frozenset({301, 302, 303, 307, 308})

cdef enum:
    HTTP_PORT = 80
    HTTPS_PORT = 443
    PORTS = 65536
    HTTPS_LEN = 5
    PUNCTUATION = 4        # "://", and the colon before a port
    PORT_DIGITS = 5

cdef const char* DIGITS = "0123456789ABCDEF"


cdef struct Place:
    bint secured
    Span host
    int port               # 0: the scheme's own


cdef class Redirect:
    def __init__(
        self, int status, *, bytes scheme not None=b"", bytes host not None=b"", int port=0,
        NewPath path=None,
    ):
        cdef const char* host_start = host
        if status not in STATUSES:
            raise ValueError(f"a redirect with status {status}")
        if scheme not in (b"", b"http", b"https"):
            raise ValueError(f"a redirect to the scheme {scheme[:100]!r}")
        if host and not is_host(host_start, host_start + len(host)):
            raise ValueError(f"a redirect to the host {host[:300]!r}")
        if not 0 <= port < PORTS:
            raise ValueError(f"a redirect to port {port}")
        self.status = status
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path

    cdef Whither of(self, Head head, Span* location) except *:
        cdef Place there, here = place_of(head)
        cdef Halves path
        if head.method_id == METHOD_CONNECT or head.path.len == 0 or head.path.ptr[0] != c"/":
            return NOWHERE_ELSE
        there = moved(self, here)
        if there.host.len == 0:
            return UNKNOWN
        path.text = head.path
        path.rest.ptr = ""
        path.rest.len = 0
        if self.path is not None:
            path = self.path.halves(head)
        if is_same_place(here, there) and is_same_path(head.path, path):
            return NOWHERE_ELSE
        location[0] = written(head, there, path)
        return THERE


# ---- where a request goes


cdef Place place_of(Head head) noexcept:
    cdef Place here
    cdef const char* start = head.authority.ptr
    cdef const char* end = start + head.authority.len
    cdef const char* colon = end
    here.secured = equals_lower(head.scheme.ptr, head.scheme.len, "https", 5)
    here.port = 0
    here.host = head.authority
    if not is_authority(start, end, False):
        here.host.len = 0
        return here
    while colon > start and c"0" <= (colon - 1)[0] <= c"9":
        colon -= 1
    if colon > start and (colon - 1)[0] == c":":
        here.port = told_port(number(colon, end), here.secured)
        here.host.len = colon - 1 - start
    return here


cdef Place moved(Redirect redirect, Place here) noexcept:
    cdef Place there = here
    if PyBytes_GET_SIZE(redirect.scheme):
        there.secured = PyBytes_GET_SIZE(redirect.scheme) == HTTPS_LEN
        there.port = 0
    if PyBytes_GET_SIZE(redirect.host):
        there.host.ptr = PyBytes_AS_STRING(redirect.host)
        there.host.len = PyBytes_GET_SIZE(redirect.host)
    if redirect.port:
        there.port = told_port(redirect.port, there.secured)
    return there


cdef int number(const char* p, const char* end) noexcept:
    """Of an authority's port, which has five digits at most."""
    cdef int found = 0
    while p < end:
        found = found * 10 + (p[0] - c"0")
        p += 1
    return found


cdef inline int told_port(int port, bint secured) noexcept:
    return 0 if port == (HTTPS_PORT if secured else HTTP_PORT) else port


cdef bint is_same_place(Place here, Place there) noexcept:
    cdef size_t i
    if here.secured != there.secured or here.port != there.port or here.host.len != there.host.len:
        return False
    for i in range(here.host.len):
        if lower(here.host.ptr[i]) != lower(there.host.ptr[i]):
            return False
    return True


cdef inline char lower(char letter) noexcept:
    return letter | 32 if c"A" <= letter <= c"Z" else letter


cdef bint is_same_path(Span own, Halves path) noexcept:
    if own.len != path.text.len + path.rest.len or memcmp(own.ptr, path.text.ptr, path.text.len):
        return False
    return memcmp(own.ptr + path.text.len, path.rest.ptr, path.rest.len) == 0


# ---- writing it


cdef Span written(Head head, Place there, Halves path) except *:
    cdef Span location
    cdef size_t room = HTTPS_LEN + PUNCTUATION + there.host.len + PORT_DIGITS
    cdef char* at
    location.ptr = at = head.alloc(room + escaped_size(path.text) + escaped_size(path.rest))
    at = put(at, "https", 5) if there.secured else put(at, "http", 4)
    at = put(at, "://", 3)
    at = put(at, there.host.ptr, there.host.len)
    if there.port:
        at = put(at, ":", 1)
        at = put_port(at, there.port)
    at = put_escaped(at, path.text)
    at = put_escaped(at, path.rest)
    location.len = at - location.ptr
    return location


cdef inline char* put(char* at, const char* text, size_t length) noexcept:
    memcpy(at, text, length)
    return at + length


cdef char* put_port(char* at, int port) noexcept:
    cdef char[PORT_DIGITS] digits
    cdef int left = PORT_DIGITS
    while port:
        left -= 1
        digits[left] = <char> (c"0" + port % 10)
        port //= 10
    return put(at, digits + left, PORT_DIGITS - left)


cdef size_t escaped_size(Span text) noexcept:
    cdef size_t i, size = text.len
    for i in range(text.len):
        if <uint8_t> text.ptr[i] & 0x80:
            size += 2
    return size


cdef char* put_escaped(char* at, Span text) noexcept:
    """Bytes above ASCII may stand in a request line, and not in a URI."""
    cdef size_t i
    cdef uint8_t byte
    for i in range(text.len):
        byte = <uint8_t> text.ptr[i]
        if byte & 0x80:
            at[0] = c"%"
            at[1] = DIGITS[byte >> 4]
            at[2] = DIGITS[byte & 15]
            at += 3
        else:
            at[0] = <char> byte
            at += 1
    return at
