# cython: language_level=3
"""Detection and what is read before a protocol, for tests: Python calls. Not part of a wheel."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from linkerd2_py._ext.core.dns_name cimport DNS_NAME_MAX
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.detect.client_hello cimport (
    HELLO_BROKEN,
    HELLO_MORE,
    HELLO_NAME,
    HELLO_NO_NAME,
    client_hello,
)
from linkerd2_py._ext.detect.client_hello cimport HELLO_MAX as _HELLO_MAX
from linkerd2_py._ext.detect.detect cimport (
    PROTO_HTTP1,
    PROTO_HTTP2,
    PROTO_MORE,
    PROTO_OPAQUE,
    PROTO_TLS,
    Protocol,
    detect,
    detect_http,
    may_ask,
)
from linkerd2_py._ext.detect.transport_header cimport (
    HEADER_BROKEN,
    HEADER_MORE,
    HEADER_OK,
    SESSION_HTTP1,
    SESSION_HTTP2,
    SESSION_OPAQUE,
    SessionProtocol,
    TransportHeader,
    read_transport_header,
    write_transport_header,
)
from linkerd2_py._ext.detect.transport_header cimport TRANSPORT_HEADER_MAX as _HEADER_MAX
from linkerd2_py._ext.detect.transport_header cimport TRANSPORT_HEADER_ROOM as _HEADER_ROOM

HELLO_MAX = <int> _HELLO_MAX
TRANSPORT_HEADER_MAX = <int> _HEADER_MAX
TRANSPORT_HEADER_ROOM = <int> _HEADER_ROOM

_NAMES = {
    <int> PROTO_MORE: "more",
    <int> PROTO_HTTP1: "http1",
    <int> PROTO_HTTP2: "http2",
    <int> PROTO_TLS: "tls",
    <int> PROTO_OPAQUE: "opaque",
}
_HELLOS = {
    <int> HELLO_MORE: "more",
    <int> HELLO_NAME: "name",
    <int> HELLO_NO_NAME: "no name",
    <int> HELLO_BROKEN: "broken",
}
_HEADERS = {<int> HEADER_MORE: "more", <int> HEADER_OK: "ok", <int> HEADER_BROKEN: "broken"}
_SESSIONS = {"opaque": <int> SESSION_OPAQUE, "http1": <int> SESSION_HTTP1, "http2": <int> SESSION_HTTP2}
_SESSION_NAMES = {number: name for name, number in _SESSIONS.items()}


def detect_bytes(content: bytes) -> str:
    """more, http1, http2, tls or opaque."""
    return _NAMES[<int> detect(content, len(content))]


def detect_http_bytes(bytes content not None) -> str:
    return _NAMES[<int> detect_http(content, len(content))]


def may_ask_bytes(bytes content):
    """Whether undecided bytes may still become a request."""
    return bool(may_ask(content, len(content)))


def detect_many(bytes content, int times) -> str:
    """The same answer, found `times` times: for benchmarks."""
    cdef Protocol found = PROTO_MORE
    cdef const char* p = content
    cdef size_t n = len(content)
    cdef int i
    for i in range(times):
        found = detect(p, n)
    return _NAMES[<int> found]


def find_server_name(content: bytes):
    """more, name, no name or broken; and the name."""
    cdef char room[DNS_NAME_MAX]
    cdef Span sni
    cdef char* mem = exact_copy(content)
    try:
        state = client_hello(mem, len(content), room, &sni)
        return _HELLOS[<int> state], sni.ptr[:sni.len]
    finally:
        free(mem)


def read_header(content: bytes):
    """more, ok or broken; and when ok port, name, protocol and size."""
    cdef TransportHeader header
    cdef char* mem = exact_copy(content)
    try:
        state = read_transport_header(mem, len(content), &header)
        if state != HEADER_OK:
            return _HEADERS[<int> state], None
        name = header.name.ptr[:header.name.len]
        found = header.port, name, _SESSION_NAMES[<int> header.protocol], header.size
        return _HEADERS[<int> state], found
    finally:
        free(mem)


def write_header(int port, bytes name, str protocol, *, size_t room=_HEADER_ROOM):
    """The header in exactly so much room; empty when it was refused."""
    cdef char* mem = exact_copy(b"\0" * room)
    cdef SessionProtocol session = <SessionProtocol> <int> _SESSIONS[protocol]
    try:
        size = write_transport_header(mem, room, port, name, len(name), session)
        return mem[:size]
    finally:
        free(mem)


cdef char* exact_copy(bytes content) except NULL:
    """So that a step past the end is one that a sanitizer sees."""
    cdef char* mem = <char*> malloc(len(content) or 1)
    if mem == NULL:
        raise MemoryError
    memcpy(mem, <char*> content, len(content))
    return mem
