# cython: language_level=3
"""Detection for tests: a Python call. Not part of a wheel."""

from linkerd2_py._ext.detect.detect cimport PROTO_HTTP1, PROTO_HTTP2, PROTO_MORE, PROTO_OPAQUE, PROTO_TLS, Protocol, detect

_NAMES = {
    <int> PROTO_MORE: "more",
    <int> PROTO_HTTP1: "http1",
    <int> PROTO_HTTP2: "http2",
    <int> PROTO_TLS: "tls",
    <int> PROTO_OPAQUE: "opaque",
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
