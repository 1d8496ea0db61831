"""The HTTP/1 server codec: a session that turns a client's bytes into server halves of exchanges, one at a time, in order."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.core.types cimport flag
from linkerd2_py._ext.exchange.head cimport Head, Version
from linkerd2_py._ext.exchange.stream cimport Dispatch, Peer, Stream
from linkerd2_py._ext.http1.body cimport Body
from linkerd2_py._ext.http1.serializer cimport Framing
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.transport cimport Session, Transport

cdef enum ServerState:
    SERVER_HEAD        # between exchanges: the next head is awaited or incomplete
    SERVER_BODY        # a head was reported, its body is not complete
    SERVER_WAIT        # the request is complete, the response is not
    SERVER_OVER        # the transport is gone: closed, aborted, dead or a tunnel

cdef class Http1Server(Session):
    """Http1Server(dispatch, limits). Attach to a transport (its inbox may hold the first bytes). Keep-alive, pipelining (the next head is parsed only when the
    current exchange ended), Expect, Upgrade/CONNECT, head timeout. `drain()` closes when idle, else adds connection: close to the current response.
    While an exchange is under way reading goes on, up to one inbox, so that a reset is seen at once. A FIN after a complete request may be
    a half-close and is still answered, if anything is sent to the client within `half_close_ns`: only bytes that it does not want show that a client is gone.
    """
    cdef Dispatch dispatch             # owned
    cdef Limits limits                 # owned
    cdef flag informational            # refusals of bytes carry l5d-proxy-error; set by the owner after construction
    cdef ServerState state
    cdef readonly uint32_t exchanges   # ended on this connection
    cdef int drain(self) except -1
    cdef int abort(self) except -1     # RST now; the exchange under way is told FAULT_LOCAL

    # -- private
    cdef Http1ServerHalf half          # owned; the cycle is broken when the connection is over
    cdef Head head                     # owned: of the current exchange, else None
    cdef Buffer aside                  # leased: the inbox that the retained head points into, once reading had to go on elsewhere; else None
    cdef Timer clock                   # of the head or of keep-alive idleness; None when nothing is limited
    cdef Body body
    cdef size_t scanned                # of an incomplete head
    cdef size_t pending                # bytes at the front of the inbox that are consumed but still behind the head's spans
    cdef uint64_t sent_mark            # transport.tx_bytes when the clock was last started or had seen progress
    cdef uint64_t read_mark            # transport.rx_bytes of that time
    cdef int64_t sent_at               # ... when that was
    cdef flag end_seen                 # the client has ended its side, and the marks were set
    cdef flag end_meant                # ... and something was sent to it since: if it were gone it would have reset the connection
    cdef flag head_held, held, turn_paused, advancing, draining, close_after, client_closes
    cdef FaultKind broken              # found by a command, told by on_deferred
    cdef int advance(self) except -1
    cdef bint step(self) except -1
    cdef bint read_head(self) except -1
    cdef bint read_body(self) except -1
    cdef int begin_exchange(self, Head head, int length) except -1
    cdef int end_exchange(self) except -1
    cdef int refuse(self, int status, const char* reason) except -1
    cdef int body_refused(self, int fault) except -1
    cdef int truncated(self) except -1
    cdef int response_ended(self) except -1
    cdef bint rest_is_here(self) noexcept
    cdef size_t unread(self) noexcept
    cdef int settle_inbox(self) except -1
    cdef int make_room(self) except -1
    cdef int set_aside(self) except -1
    cdef int pause_turn(self) except -1
    cdef int resume_turn(self) except -1
    cdef int consume(self, size_t count) except -1
    cdef int release_spans(self) except -1
    cdef int watch_end(self) except -1
    cdef int check_end(self) except -1
    cdef int outcome(self) except -1
    cdef int watch_reader(self) except -1
    cdef int check_reader(self) except -1
    cdef int start_clock(self, int kind, int64_t delay_ns) except -1
    cdef int stop_clock(self) except -1
    cdef int look_again(self) except -1
    cdef Peer let_go(self)
    cdef int close(self) except -1
    cdef int fail_later(self, FaultKind kind) except -1

cdef class Http1ServerHalf(Stream):
    """One per connection, reused for each exchange of it."""
    cdef Http1Server server            # owned while the connection lives
    cdef Version client_version
    cdef flag is_head, is_connect, is_upgrade
    cdef flag started, ended           # the response
    cdef Framing framing
    cdef int64_t left                  # of a FRAME_LENGTH body
    cdef int begin(self, Head head) except -1
    cdef bint is_live(self) noexcept
    cdef bint is_last(self) noexcept
    cdef bint choose_framing(self, Head head) noexcept
    cdef int write_run(self, const char* p, size_t n) except -1
    cdef int end_response(self) except -1
