"""What the HTTP/1 server and client codecs share: one exchange at a time over one transport.

The session reads the other side's messages out of the inbox, a head and then its body; the half writes ours
in the framing that its head announced.
"""

from libc.stdint cimport int64_t
from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.fault cimport FAULT_NONE, FaultKind
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.core.types cimport flag
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.stream cimport Peer, Stream
from linkerd2_py._ext.http1.body cimport Body
from linkerd2_py._ext.http1.serializer cimport Framing
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport PAUSE_PEER_FULL, Session, Transport

# What is to come from the other side.
cdef enum Phase:
    PHASE_HEAD         # a head: nothing of it is here yet, or it is incomplete
    PHASE_BODY         # the rest of a message whose head was reported
    # Nothing. Server: the request is complete, its response is not. Client: there is no exchange.
    PHASE_QUIET
    PHASE_OVER         # nothing any more: the transport is closed, aborted, dead or a tunnel

cdef class Http1Session(Session):
    cdef Limits limits                 # owned
    cdef Loop loop                     # owned: it outlives the transport, for what is told later
    cdef Http1Half half                # owned; the cycle is broken when the connection is over
    cdef Phase phase
    cdef Body body
    cdef size_t scanned                # of an incomplete head
    # Bytes at the front of the inbox that are consumed but still behind a head's spans
    cdef size_t pending
    # Leased: the inbox that a retained head points into, once reading had to go on elsewhere; else None.
    cdef Buffer aside
    cdef FaultKind broken              # found by a command, told by on_deferred
    cdef flag serves                   # the server's side
    # A retained head points into the inbox: what is consumed stays where it is.
    cdef flag keeps
    cdef flag held                     # the exchange takes no more body
    cdef flag advancing                # inside `advance`: a callback must not enter it again
    # -- reading
    cdef int advance(self) except -1
    # True while there may be more to do with the bytes at hand
    cdef bint step(self) except -1
    # True like `step`; the next run of the body, or its end, was told
    cdef bint read_body(self) except -1
    cdef int settle_inbox(self) except -1
    # An inbox without room stops the transport: it has some again
    cdef int enlarge_inbox(self) except -1
    cdef int release_spans(self) except -1                # nobody looks at the head any more
    cdef size_t unread(self) noexcept
    # -- ends
    cdef int fail(self, FaultKind kind, int code) except -1   # cuts the connection, then tells whom it served
    cdef int fail_later(self, FaultKind kind) except -1   # from a command, which must not call back
    # Forgets the connection; returns once whom it served, to be told last
    cdef Peer let_go(self)
    cdef Transport give_up_transport(self)

    # -- what differs between server and client
    cdef bint read_head(self) except -1
    cdef bint on_unasked(self) except -1                  # client: bytes while there is no exchange
    cdef int end_exchange(self) except -1                 # both messages are complete, or will never be
    cdef int on_bad_body(self, int fault) except -1       # a ParseFault
    cdef int make_room(self) except -1                    # after each reading, where bytes are left
    # The other side has sent its last byte; may come again
    cdef int on_end(self) except -1
    cdef int on_end_missed(self) except -1                # ... while the exchange took none of them
    cdef int on_message_sent(self) except -1              # ours is complete; a SendOutcome
    cdef int outcome(self) except -1                      # a SendOutcome
    cdef int on_failed(self, FaultKind kind, int code) except -1   # last, after the exchange was told

    cdef inline void consume(self, size_t count) noexcept:
        if self.keeps:
            self.pending += count
        else:
            self.transport.inbox.skip(count)

    cdef inline int stop_holding(self) except -1:
        if not self.held:
            return 0
        self.held = False
        return self.transport.resume(PAUSE_PEER_FULL)

cdef class Http1Half(Stream):
    """One per connection, reused for each exchange of it."""
    cdef Http1Session session          # owned while the connection lives
    cdef flag is_upgrade               # of the request
    cdef flag started, ended           # our message
    cdef Framing framing
    cdef int64_t left                  # of a FRAME_LENGTH body
    cdef int write_run(self, const char* p, size_t n) except -1
    cdef int write_unframed(self) except -1               # body where the head has said that there is none
    cdef int end_message(self) except -1
    # Which of the peer's methods a report goes to.
    cdef int report_body(self, Peer peer, const char* p, size_t n, bint end) except -1
    cdef int report_trailers(self, Peer peer, Head trailers) except -1
    cdef int report_reset(self, Peer peer, FaultKind kind) except -1

    # Whoever owns the transport may have ended it without telling us.
    cdef inline bint is_live(self) noexcept:
        return self.peer is not None and self.session.transport is not None

    cdef inline bint is_sending(self) noexcept:
        return self.is_live() and self.started and not self.ended and self.session.broken == FAULT_NONE
