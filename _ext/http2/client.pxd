"""The HTTP/2 client codec over libnghttp2: one connection to an endpoint, many exchanges."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.exchange.stream cimport ConnectionOwner, Peer, Stream
from linkerd2_py._ext.http2.block cimport Block
from linkerd2_py._ext.http2.half cimport Http2Half
from linkerd2_py._ext.http2.session cimport Http2Session

cdef enum:
    # Streams that a connection may open before the peer's SETTINGS. More might exceed its limit, and
    # there are servers (gRPC's) that do not refuse what does so early but reset it with
    # ENHANCE_YOUR_CALM, which is not known to be safe to send again.
    FIRST_FLIGHT = 1

cdef class Http2Client(Http2Session):
    """Attached to a connected transport (prior knowledge).

    The peer's MAX_CONCURRENT_STREAMS is never exceeded (0 included): room() says how many more fit. Until
    its SETTINGS are seen, nobody knows that limit, or that the peer speaks HTTP/2 at all: no more than the
    first flight is sent.
    """
    cdef ConnectionOwner owner              # owned until the connection has ended
    cdef bint retired                       # GOAWAY received or sent
    # Ping after silence (limits.ping_interval_ns): meshed endpoints only, others may take pings for abuse.
    cdef bint keepalive
    cdef bint pings_idle                    # without a stream, too
    cdef bint told_retired
    # The peer's SETTINGS were seen, and whoever waited for them was told.
    cdef bint proven
    cdef bint opened                        # a stream was opened
    cdef bint served                        # one was answered
    cdef bint greeted                       # the peer's first byte was looked at
    # The endpoint is this pod's workload: a stream begins with the first window only.
    cdef bint in_pod
    # Loop ns. Set by its owner
    cdef int64_t connected_at
    # Streams before SETTINGS; its owner may know that fewer are allowed.
    cdef int first_flight
    cdef int room(self) noexcept            # streams that may be opened now; 0 when retired
    # Streams at a time: the peer's limit, the first flight until it is known.
    cdef int allowed(self) noexcept
    cdef bint is_narrow(self) noexcept      # a stream begins with less than the configured window
    cdef int live(self) noexcept            # open streams
    # Every stream of a limit that is known is in use: more connections would mean more streams.
    cdef bint is_used_up(self) noexcept
    # It has ended or takes no more, and answered none of the streams that were opened.
    cdef bint was_in_vain(self) noexcept
    cdef int prove(self) except -1
    cdef int take_back(self) except -1
    cdef Stream open_stream(self, Peer peer)   # room() > 0 was checked
    cdef int retire(self) except -1         # no new streams; closes after the last
    cdef int use_up(self) except -1
    cdef int tell_retired(self) except -1
    cdef int on_response(self, Http2Half half, Block block, bint end) except -1
    cdef int on_trailers(self, Http2Half half, Block block) except -1

cdef class Http2ClientHalf(Http2Half):
    pass
