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
    HelloState,
    client_hello,
)
from linkerd2_py._ext.detect.client_hello cimport HELLO_MAX as _HELLO_MAX
from linkerd2_py._ext.detect.detect cimport PROTO_HTTP1, PROTO_HTTP2, PROTO_MORE, PROTO_OPAQUE, PROTO_TLS, Protocol, detect

HELLO_MAX = <int> _HELLO_MAX

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


def detect_bytes(content: bytes) -> str:
    """more, http1, http2, tls or opaque."""
    return _NAMES[<int> detect(content, len(content))]


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


cdef char* exact_copy(bytes content) except NULL:
    """So that a step past the end is one that a sanitizer sees."""
    cdef char* mem = <char*> malloc(len(content) or 1)
    if mem == NULL:
        raise MemoryError
    memcpy(mem, <char*> content, len(content))
    return mem
