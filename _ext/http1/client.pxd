"""The HTTP/1 client codec: one connection to an endpoint, one exchange at a time."""

from libc.stdint cimport int64_t, uint64_t
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.types cimport flag
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport ConnectionOwner, Peer, Stream
from linkerd2_py._ext.http1.session cimport Http1Half, Http1Session

cdef class Http1Client(Http1Session):
    """Http1Client(owner, limits). Attached to a connected transport. Tells its owner when it is idle, retired
    or closed. Bytes or an end that come while it is idle close it. Never used again: a connection that saw an
    Upgrade attempt or CONNECT, an early final response with the request's body unfinished, or `connection:
    close`.
    """
    cdef ConnectionOwner owner              # owned until the connection is over
    cdef int64_t idle_since                 # loop ns; the pool ages idle connections
    cdef Http1Client older, newer           # owned links of the pool's idle connections; None outside
    cdef flag is_idle                       # it stands there
    cdef bint reusable                      # another stream may be opened after this one; False once over
    cdef uint64_t exchanges
    cdef Stream open_stream(self, Peer peer)   # only when idle; the half to send_head on
    cdef int retire(self) except -1         # close now if idle, else after the current exchange

    # -- private
    cdef flag eof_due                       # the peer's FIN came while the response was held
    cdef flag close_due                     # the owner must still be told that the connection is over
    cdef FaultKind close_kind               # ... and of what
    cdef bint report_head(self, Head head, int length) except -1
    cdef int ended_by_peer(self) except -1
    cdef int close_stale(self, FaultKind kind) except -1
    cdef int closed_later(self, FaultKind kind) except -1
    cdef int tell_closed(self, FaultKind kind, int code) except -1

cdef class Http1ClientHalf(Http1Half):
    cdef int method                         # of the request: decides the response's body
    cdef bint refused                       # the last failure came before any byte was written
    cdef int interims
    cdef uint64_t sent_before               # transport.tx_bytes when the request began
    cdef int begin(self, Http1Client client, Peer peer) except -1
    cdef bint untouched(self) noexcept
    cdef bint choose_framing(self, Head head) noexcept
