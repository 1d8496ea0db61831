"""The HTTP/2 server codec over libnghttp2: a session whose streams are server halves of exchanges."""

from libc.stdint cimport int32_t, uint32_t
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Dispatch
from linkerd2_py._ext.http2.block cimport Block
from linkerd2_py._ext.http2.half cimport Http2Half
from linkerd2_py._ext.http2.session cimport Http2Session
from linkerd2_py._ext.io.actor cimport Timer

cdef class Http2Server(Http2Session):
    """Attach to a transport whose inbox begins with the client preface.

    `drain()` sends GOAWAY (graceful, two-step), closes after the last stream.
    """
    cdef Dispatch dispatch           # owned while the session lives
    cdef Timer drain_timer           # between the shutdown notice and the final GOAWAY; None until drained
    cdef bint proven                 # the client has proven an identity of the mesh
    cdef uint32_t taken_back         # requests of this read that were reset in it
    cdef uint32_t taken_back_in      # the read that counts
    # Of the ids that the client passed over most recently: the first and the last; 0: none.
    cdef int32_t skipped_from
    cdef int32_t skipped_to
    # Up to here a frame for a stream that is gone may have been sent before our reset or GOAWAY came.
    cdef int32_t forgiven
    cdef bint draining
    cdef bint drained                # the final GOAWAY was submitted
    cdef int drain(self) except -1
    cdef int finish_drain(self) except -1
    cdef int on_request(self, Http2Half half, Block block, bint end) except -1
    cdef int on_trailers(self, Http2Half half, Block block) except -1
    # The last stream was taken rather than refused, of which the client cannot know yet.
    cdef bint took_last(self) noexcept
    cdef int open_next(self, int32_t id) except -1
    cdef int refuse_late(self, int32_t id) except -1   # stream error: it is closed
    cdef int charge(self, uint32_t count) except -1
    cdef uint32_t cost_of(self, Http2Half half) noexcept
    cdef int calm(self) except -1
    cdef int answer(self, Http2Half half, int status) except -1

cdef class Http2ServerHalf(Http2Half):
    cdef int submit(self, Head head) except -1
