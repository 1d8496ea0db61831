"""The HTTP/2 client codec over libnghttp2: one connection to an endpoint, many exchanges."""

from linkerd2_py._ext.exchange.stream cimport ConnectionOwner, Peer, Stream
from linkerd2_py._ext.http2.fields cimport Block
from linkerd2_py._ext.http2.session cimport Http2Half, Http2Session

cdef class Http2Client(Http2Session):
    """Attached to a connected transport (prior knowledge). The peer's MAX_CONCURRENT_STREAMS is never exceeded (0 included): room() says how many more fit."""
    cdef ConnectionOwner owner              # owned until the connection has ended
    cdef bint retired                       # GOAWAY received or sent
    cdef bint keepalive                     # ping while idle (limits.ping_interval_ns): meshed endpoints only, others may take pings for abuse
    cdef bint told_retired
    cdef int room(self) noexcept            # streams that may be opened now; 0 when retired
    cdef int live(self) noexcept            # open streams
    cdef Stream open_stream(self, Peer peer)   # room() > 0 was checked
    cdef int retire(self) except -1         # no new streams; closes after the last
    cdef int use_up(self) except -1
    cdef int tell_retired(self) except -1
    cdef int on_response(self, Http2Half half, Block block, bint end) except -1
    cdef int on_trailers(self, Http2Half half, Block block) except -1

cdef class Http2ClientHalf(Http2Half):
    pass
