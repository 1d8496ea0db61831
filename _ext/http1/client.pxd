"""The HTTP/1 client codec: one connection to an endpoint, one exchange at a time."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.core.types cimport flag
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport ConnectionOwner, Peer, Stream
from linkerd2_py._ext.http1.body cimport Body
from linkerd2_py._ext.http1.serializer cimport Framing
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Session, Transport

cdef enum ClientState:
    CLIENT_IDLE        # no exchange; bytes now belong to nobody
    CLIENT_HEAD        # a stream is open: a response head is awaited
    CLIENT_BODY        # a final head was reported, its body is not complete
    CLIENT_OVER        # the transport is gone: closed, aborted, dead or a tunnel

cdef class Http1Client(Session):
    """Http1Client(owner, limits). Attached to a connected transport. Reports idle/retired/closed to its owner. Stale bytes or EOF while idle => closed, never reused.
    A connection that saw an Upgrade attempt or CONNECT, an early final response with the request body unfinished, or `connection: close` is never reused."""
    cdef ConnectionOwner owner              # owned until the connection is over
    cdef Limits limits                      # owned
    cdef int64_t idle_since                 # loop ns; the pool ages idle connections
    cdef Http1Client older, newer           # owned links of the pool's idle connections; None outside
    cdef flag is_idle                       # it stands there
    cdef bint reusable                      # another stream may be opened after this one; False once over
    cdef uint64_t exchanges
    cdef Stream open_stream(self, Peer peer)   # only when idle; the half to send_head on
    cdef int retire(self) except -1         # close now if idle, else after the current exchange

    # -- private
    cdef ClientState state
    cdef Http1ClientHalf half               # owned; the cycle is broken when the connection is over
    cdef Body body
    cdef size_t scanned                     # of an incomplete head
    cdef size_t pending                     # bytes of a head that is being reported: consumed when its callback returns
    cdef bint held, advancing
    cdef bint eof_due                       # the peer's FIN came while the response was held
    cdef Loop loop                          # owned: outlives the transport, for what is told later
    cdef FaultKind broken                   # found by a command, told by on_deferred
    cdef bint close_due                     # the owner must still be told that the connection is over
    cdef FaultKind close_kind
    cdef int advance(self) except -1
    cdef bint step(self) except -1
    cdef bint read_head(self) except -1
    cdef bint report_head(self, Head head, int length) except -1
    cdef bint read_body(self) except -1
    cdef int settle_inbox(self) except -1
    cdef int make_room(self) except -1
    cdef int ended_by_peer(self) except -1
    cdef int end_exchange(self) except -1
    cdef int fail(self, FaultKind kind, int code) except -1
    cdef int close_stale(self, FaultKind kind) except -1
    cdef Peer let_go(self)
    cdef int fail_later(self, FaultKind kind) except -1
    cdef int closed_later(self, FaultKind kind) except -1
    cdef int tell_closed(self, FaultKind kind, int code) except -1

cdef class Http1ClientHalf(Stream):
    """One per connection, reused for each exchange of it."""
    cdef Http1Client client                 # owned while the connection lives
    cdef int method                         # of the request: decides the response's body
    cdef bint is_upgrade
    cdef flag started, ended                # the request
    cdef bint refused                       # the last failure came before any byte was written
    cdef int interims
    cdef Framing framing
    cdef int64_t left                       # of a FRAME_LENGTH body
    cdef uint64_t sent_before               # transport.tx_bytes when the request began
    cdef int begin(self, Http1Client client, Peer peer) except -1
    cdef bint is_live(self) noexcept
    cdef bint untouched(self) noexcept
    cdef bint choose_framing(self, Head head) noexcept
    cdef int write_run(self, const char* p, size_t n) except -1
    cdef int end_request(self) except -1
