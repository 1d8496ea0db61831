"""A byte stream over a socket, and the session on top of it.

`Transport` owns the fd, the unread bytes and the unsent bytes; `Session` is whoever understands them
(detection, a codec, a pump). A session can be replaced in place (`attach`): bytes already read stay in
`inbox`, so first bytes are delivered exactly once on every path.
Only what `RawConnection` declares moves bytes or ends their stream: what TLS overrides, and nothing else.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from linkerd2_py._ext.core.buffer cimport BUFFER_LARGE, BUFFER_SMALL, Buffer
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.types cimport flag
from linkerd2_py._ext.io.actor cimport Actor, Timer
from linkerd2_py._ext.io.address cimport Address, SocketOptions
from linkerd2_py._ext.io.linux cimport EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.raw_connection cimport RawConnection
from linkerd2_py._ext.io.ring cimport Ring
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics

cdef class Transport

cdef enum:
    WATCHED = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI
    # The peer hung up, or the next read may end early. PRI: recv stops at an urgent mark, so once urgent
    # bytes were seen a short read does not mean that the socket is drained.
    TROUBLE = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI

# Why reading is paused. Counted per reason, so that several parties can pause; reading goes on when all
# counts are zero.
cdef enum PauseReason:
    PAUSE_PARKED       # the exchange or connection waits for discovery, an endpoint or a connect
    PAUSE_PEER_FULL    # the other side's unsent bytes are above their mark
    PAUSE_TURN         # HTTP/1 pipelining: the next request waits for the current response
    PAUSE_DRAIN        # shutting down: no new messages are read
    PAUSE_REASONS

cdef class Session(Actor):
    """What stands on a transport.

    All calls come from the transport, never re-entrantly for the same transport.
    """
    # Owned while attached; None after detach. The transport owns the session too: detach/close breaks the
    # cycle.
    cdef Transport transport
    # May find bytes in transport.inbox already (it must look), and transport.read_eof set.
    cdef int on_attached(self) except -1
    # transport.inbox has new bytes; consume with inbox.skip(); what is left stays. After resume(): the bytes
    # that were left.
    cdef int on_readable(self) except -1
    # The peer sent FIN and the kernel holds no more bytes; inbox may still; called once, even while reading
    # is paused.
    cdef int on_read_eof(self) except -1
    # The peer hung up while reading is paused and bytes before its end are unread: it may have ended its side
    # (peer_has_ended). May come again.
    cdef int on_hangup(self) except -1
    # Unsent bytes fell to the low mark after send/flush had answered SEND_FULL.
    cdef int on_drained(self) except -1
    # Of a transport that was closed: the loop has written what the socket takes.
    cdef int on_flushed(self) except -1
    # The transport is dead; last call; code = errno or 0.
    cdef int on_fault(self, FaultKind kind, int code) except -1

cdef enum SendOutcome:
    SEND_OK = 0
    SEND_FULL = 1        # accepted all the same; stop producing until on_drained

cdef class Transport(RawConnection):
    cdef Session session                    # owned
    cdef Buffer inbox                       # leased while it holds unread bytes; None when empty
    cdef ByteQueue outbox                   # owned; unsent bytes: outbox.size of them
    # outbox.size above it => SEND_FULL (default 64 KiB); low mark is half.
    cdef size_t high_mark
    cdef flag told_full
    cdef flag readable, writable            # edge-triggered memory: a recv/send may make progress
    # EPOLLRDHUP/HUP/ERR/PRI was reported: read on to EOF or EAGAIN even after a short read.
    cdef flag hangup_seen
    cdef flag error_seen                    # EPOLLERR was reported: the kernel holds an error for us
    cdef flag read_eof                      # FIN received and all bytes handed out
    cdef flag write_closing, write_closed   # shutdown requested (after unsent), done
    cdef flag connecting
    cdef flag dead                          # fd closed
    cdef flag read_due, drained_due         # what on_deferred has to do
    cdef flag was_read                      # the batch has read for the event that follows
    cdef flag closed                        # close was called: what is left to do is Lingering's
    # Settable by the session. `linger_for_input`, before close(): the peer may still be sending; its bytes
    # are discarded (bounded) until its FIN, so that no RST overtakes our last bytes. `reads_before_fault`: a
    # reset that comes while reading is paused waits until the bytes before it were read.
    cdef flag linger_for_input, reads_before_fault
    cdef flag counted                       # metrics.opened was called
    cdef uint32_t pauses                    # sum of pause counts
    cdef uint16_t[4] pause_count
    cdef uint32_t read_size                 # BUFFER_SMALL; sessions in bulk mode may raise it to BUFFER_LARGE
    cdef uint64_t rx_bytes, tx_bytes
    cdef int64_t opened_at
    # A write failed: what on_fault will say once the readable bytes are handed out.
    cdef FaultKind fault_kind
    cdef int fault_code
    # Owned or None; open/close/bytes are recorded here by the transport itself.
    cdef TcpMetrics metrics
    # Connect timeout, later the bound of lingering; made when first needed.
    cdef Timer connect_timer

    # Replaces the session (the old one is detached without callbacks), then session.on_attached()
    cdef int attach(self, Session session) except -1
    # -- reading
    cdef int pause(self, PauseReason reason) except -1
    # on_readable again from the loop: for a session whose time is up, or who took back a pause.
    cdef int read_later(self) except -1
    # When the last one goes: deferred read if bytes or an edge wait (never re-entrant)
    cdef int resume(self, PauseReason reason) except -1
    # For a session that takes over everything: all counts zero, as if resumed.
    cdef int forget_pauses(self) except -1
    # -- writing: all of it goes through the outbox
    # Room for count contiguous bytes in the outbox; follow with commit.
    cdef char* reserve(self, size_t count) except NULL
    cdef int commit(self, size_t count) except -1
    # SendOutcome. Small: copied to the outbox. >= 16 KiB: writev(outbox + src) at once, rest copied.
    cdef int send(self, const char* src, size_t count) except -1
    # SendOutcome; faults are delivered to session.on_fault deferred, never from inside.
    cdef int flush(self) except -1
    cdef int flush_later(self) except -1                    # at the end of this batch: frames share a call
    # Writes what the socket takes of src now, keeps nothing: bytes taken. If fewer than count, on_drained
    # follows (unless the transport is failing).
    cdef Py_ssize_t try_write(self, const char* src, size_t count) except -1
    cdef int shutdown_write(self) except -1                 # FIN after all unsent bytes
    # -- ending
    # Orderly: what is unsent goes out with the batch, then close(2); a rest lingers, bounded, with a session
    # of its own (io/lingering). Idempotent.
    cdef int close(self) except -1
    # SO_LINGER 0 + close(2): the peer sees RST. Idempotent. Session gets no callback.
    cdef int abort(self) except -1
    # For a connection that was accepted uncounted: counts it from its beginning on. Once.
    cdef int count_as(self, TcpMetrics metrics) except -1

    # -- private
    cdef bint may_read_ahead(self, uint32_t events) noexcept
    cdef Buffer put_buffer(self, Ring ring)
    cdef bint has_read(self, int outcome) noexcept
    cdef int has_sent(self, size_t count) except -1
    cdef int finish_connect(self, uint32_t events) except -1
    cdef int check_connect(self, uint32_t events) except -1
    cdef int connected(self) except -1
    cdef int connect_failed(self, FaultKind kind, int code) except -1
    cdef int read_ready(self) except -1
    cdef Py_ssize_t fill(self) except -1
    cdef int received(self, Buffer buffer, int got) noexcept
    cdef int received_end(self, int outcome) except -1
    cdef int hand_over(self) except -1
    cdef int after_hangup(self) except -1
    cdef int deliver_eof(self) except -1
    cdef int deliver_fault(self, FaultKind kind, int code) except -1
    cdef int release_empty_inbox(self) except -1
    # For a session that needs all of a message that the inbox is too small for: BUFFER_LARGE at most.
    cdef int widen_inbox(self) except -1
    # For a session that has a body in the inbox: a read that filled its buffer says bulk, a small one says
    # conversation.
    cdef inline int size_reads(self) noexcept:
        if self.inbox.room() == 0:
            self.read_size = BUFFER_LARGE
        elif self.inbox.size() < BUFFER_SMALL:
            self.read_size = BUFFER_SMALL
        return 0

    cdef int send_large(self, const char* src, size_t count) except -1
    cdef int write_out(self) except -1
    cdef int wrote(self, size_t count) except -1
    cdef int settle(self) except -1
    cdef inline int outcome(self) noexcept:
        if self.outbox.size > self.high_mark:
            self.told_full = True
            return SEND_FULL
        return SEND_OK

    cdef int write_failed(self, int code) except -1
    cdef int detach(self) except -1
    cdef inline int tell_flushed(self) except -1:
        return self.session.on_flushed() if self.closed and self.session is not None else 0

    cdef int end(self, int code) except -1
    cdef int release(self, int code) except -1
    cdef int fail_later(self, FaultKind kind, int code) except -1
    cdef Timer timer(self)

# Wraps an accepted fd (takes ownership).
cdef Transport accepted(Loop loop, int fd, TcpMetrics metrics)
# The same for a new transport of any kind and a socket that already has our options (inherited from its
# listener).
cdef Transport wrap(Transport transport, Loop loop, int fd, TcpMetrics metrics)

cdef class Connecting(Session):
    """The session while connecting: exactly one of the two is called, once."""
    cdef int on_connected(self) except -1                   # attach the real session now
    cdef int on_connect_failed(self, FaultKind kind, int code) except -1   # transport is already dead
