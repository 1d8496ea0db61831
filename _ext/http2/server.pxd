"""The HTTP/2 server codec over libnghttp2: a session whose streams are server halves of exchanges."""

from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Dispatch
from linkerd2_py._ext.http2.fields cimport Block
from linkerd2_py._ext.http2.session cimport Http2Half, Http2Session
from linkerd2_py._ext.io.loop cimport Timer

cdef class Http2Server(Http2Session):
    """Attach to a transport whose inbox begins with the client preface. `drain()` sends GOAWAY (graceful, two-step), closes after the last stream."""
    cdef Dispatch dispatch           # owned while the session lives
    cdef Timer drain_timer           # between the shutdown notice and the final GOAWAY; None until drained
    cdef bint draining
    cdef bint drained                # the final GOAWAY was submitted
    cdef int drain(self) except -1
    cdef int finish_drain(self) except -1
    cdef int on_request(self, Http2Half half, Block block, bint end) except -1
    cdef int on_trailers(self, Http2Half half, Block block) except -1
    cdef int answer(self, Http2Half half, int status) except -1

cdef class Http2ServerHalf(Http2Half):
    cdef int submit(self, Head head) except -1
