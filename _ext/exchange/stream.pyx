# cython: language_level=3
"""Bodies of the abstract halves: a peer that takes everything in silence, a half that takes nothing.

A codec or an exchange overrides what it can meet; what it does not override must never happen to it, so the
commands of `Stream` raise and the reports of `Peer` are accepted.
"""

from linkerd2_py._ext.exchange.head cimport HTTP_11


cdef class Peer(Actor):
    cdef int on_request_head(self, Stream half, Head head) except -1:
        return 0

    cdef int on_request_body(self, const char* p, size_t n, bint end) except -1:
        return 0

    cdef int on_request_trailers(self, Head trailers) except -1:
        return 0

    cdef int on_request_reset(self, FaultKind kind, uint32_t code) except -1:
        return 0

    cdef int on_response_room(self) except -1:
        return 0

    cdef int on_interim_head(self, Head head) except -1:
        return 0

    cdef int on_response_head(self, Head head) except -1:
        return 0

    cdef int on_response_body(self, const char* p, size_t n, bint end) except -1:
        return 0

    cdef int on_response_trailers(self, Head trailers) except -1:
        return 0

    cdef int on_response_reset(self, FaultKind kind, uint32_t code, bint refused) except -1:
        return 0

    cdef int on_request_room(self) except -1:
        return 0


cdef class Stream(Actor):
    def __cinit__(self):
        self.version = HTTP_11

    cdef int send_head(self, Head head) except -1:
        raise NotImplementedError("this half sends no head")

    cdef int send_body(self, const char* p, size_t n, bint end) except -1:
        raise NotImplementedError("this half sends no body")

    cdef int send_trailers(self, Head trailers) except -1:
        raise NotImplementedError("this half sends no trailers")

    cdef int reset(self, FaultKind kind, uint32_t code) except -1:
        raise NotImplementedError("this half cannot be reset")

    cdef int hold(self) except -1:
        return 0

    cdef int unhold(self) except -1:
        return 0

    cdef int release_head(self) except -1:
        return 0

    cdef bint is_proven(self) noexcept:
        return True

    cdef int send_interim(self, Head head) except -1:
        raise NotImplementedError("only a server half sends interim responses")

    cdef Transport into_tunnel(self):
        raise NotImplementedError("only an HTTP/1 half becomes a tunnel")


cdef class Dispatch(Actor):
    cdef Peer new_exchange(self, Stream half):
        raise NotImplementedError("nobody takes requests here")


cdef class ConnectionOwner(Actor):
    cdef int on_connection_room(self, object connection) except -1:
        return 0

    cdef int on_connection_retired(self, object connection) except -1:
        return 0

    cdef int on_connection_closed(self, object connection, FaultKind kind, int code) except -1:
        return 0
