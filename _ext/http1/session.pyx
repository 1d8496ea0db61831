# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The shared HTTP/1 session and half; read the session from on_readable down, then the half from send_body
down.

A callback into the exchange may end the exchange, the connection or both before it returns: every step looks
at `phase` and at the transport again afterwards.
"""

from libc.stdint cimport int64_t
from linkerd2_py._ext.core.buffer cimport Buffer, give_back, lease
from linkerd2_py._ext.core.fault cimport FAULT_NONE, FAULT_PROTOCOL
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport HTTP_2, drop_head, take_head
from linkerd2_py._ext.exchange.sound cimport is_writable
from linkerd2_py._ext.http1.body cimport BODY_CHUNKED, body_next
from linkerd2_py._ext.http1.fields cimport has_fields
from linkerd2_py._ext.http1.serializer cimport (
    FRAME_CHUNKED,
    FRAME_LENGTH,
    FRAME_NONE,
    write_chunk,
    write_last_chunk,
)
from linkerd2_py._ext.io.transport cimport PAUSE_PEER_FULL, SEND_OK


cdef class Http1Session(Session):

    # ---- from the transport

    cdef int on_readable(self) except -1:
        return self.advance()

    cdef int on_read_eof(self) except -1:
        return self.advance()

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        return self.fail(kind, code)

    # ---- reading

    cdef int advance(self) except -1:
        if self.advancing or self.phase == PHASE_OVER or self.transport is None:
            return 0
        self.advancing = True
        try:
            while self.step():
                pass
        finally:
            self.advancing = False
        return 0 if self.phase == PHASE_OVER or self.transport is None else self.settle_inbox()

    cdef bint step(self) except -1:
        cdef Buffer inbox
        if self.broken != FAULT_NONE or self.held or self.transport is None:
            return False
        inbox = self.transport.inbox
        if inbox is None or inbox.size() == 0:
            return False
        if self.phase == PHASE_BODY:
            return self.read_body()
        if self.phase == PHASE_HEAD:
            return self.read_head()
        # A server's next request waits for the current response.
        return False if self.serves else self.on_unasked()

    cdef bint read_body(self) except -1:
        cdef Buffer inbox = self.transport.inbox
        # Only chunks are followed by trailers.
        cdef Head trailers = take_head() if self.body.kind == BODY_CHUNKED else None
        cdef Http1Half half = self.half
        # Ours, not the half's: the peer may let go of itself before it returns.
        cdef Peer peer = half.peer
        cdef char* rest = inbox.head() + self.pending
        cdef size_t size = inbox.size() - self.pending
        cdef Span run
        cdef int64_t used
        try:
            used = body_next(&self.body, rest, size, &run, trailers, self.limits)
            if used < 0:
                self.on_bad_body(<int> -used)
                return False
            if used == 0 and not self.body.done:
                return False
            self.transport.size_reads()
            self.consume(used)
            if not self.body.done and run.len == 0:
                return True
            if self.body.done and self.serves:
                self.phase = PHASE_QUIET
            if self.body.done and trailers is not None and has_fields(trailers):
                half.report_trailers(peer, trailers)
            else:
                half.report_body(peer, run.ptr, run.len, self.body.done)
        finally:
            drop_head(trailers)
        # With its response the client's exchange is over; the server's ends with what it sends.
        if self.body.done and not self.serves and self.phase != PHASE_OVER and self.transport is not None:
            self.end_exchange()
        return self.phase != PHASE_OVER

    # ---- the inbox

    cdef int settle_inbox(self) except -1:
        cdef Transport transport = self.transport
        if transport.inbox is not None:
            if transport.inbox.size():
                self.make_room()
            transport.release_empty_inbox()
        return self.on_end() if transport.read_eof else 0

    cdef int enlarge_inbox(self) except -1:
        """A head or a trailer section that does not fit yet must find room, up to its limit."""
        cdef Buffer inbox = self.transport.inbox
        cdef Buffer larger
        if inbox.start:
            inbox.compact()
            return 0
        larger = lease(inbox.capacity * 2)
        larger.append(inbox.head(), inbox.size())
        self.transport.inbox = larger
        give_back(inbox)
        return 0

    cdef int release_spans(self) except -1:
        cdef Transport transport = self.transport
        self.keeps = False
        if self.aside is not None:
            give_back(self.aside)
            self.aside = None
        if self.pending:
            transport.inbox.skip(self.pending)
            self.pending = 0
            # While `advance` runs, a run of body in this inbox may be borrowed by whoever called us.
            if not self.advancing:
                transport.release_empty_inbox()
        return 0

    cdef size_t unread(self) noexcept:
        cdef Buffer inbox = self.transport.inbox
        return 0 if inbox is None else inbox.size() - self.pending

    # ---- ends

    cdef int fail(self, FaultKind kind, int code) except -1:
        cdef Http1Half half = self.half
        cdef Transport transport = self.transport
        cdef Peer peer = self.let_go()
        if transport is not None:
            transport.abort()
        if peer is not None:
            half.report_reset(peer, kind)
        return self.on_failed(kind, code)

    cdef int fail_later(self, FaultKind kind) except -1:
        if self.broken == FAULT_NONE:
            self.broken = kind
            self.loop.defer(self)
        return 0

    cdef Peer let_go(self):
        cdef Peer peer = self.half.peer
        self.phase = PHASE_OVER
        self.pending = 0
        self.keeps = False
        if self.aside is not None:
            give_back(self.aside)
            self.aside = None
        self.half.peer = None
        self.half.session = None
        return peer

    cdef Transport give_up_transport(self):
        cdef Transport transport = self.transport
        self.release_spans()
        self.stop_holding()
        self.let_go()
        transport.detach()
        return transport

    # ---- what the server and the client fill in

    cdef bint read_head(self) except -1:
        raise NotImplementedError("Http1Session.read_head")

    cdef bint on_unasked(self) except -1:
        return False

    cdef int end_exchange(self) except -1:
        raise NotImplementedError("Http1Session.end_exchange")

    cdef int on_bad_body(self, int fault) except -1:
        return self.fail(FAULT_PROTOCOL, 0)

    cdef int make_room(self) except -1:
        raise NotImplementedError("Http1Session.make_room")

    cdef int on_end(self) except -1:
        raise NotImplementedError("Http1Session.on_end")

    cdef int on_end_missed(self) except -1:
        raise NotImplementedError("Http1Session.on_end_missed")

    cdef int on_message_sent(self) except -1:
        self.transport.flush_later()
        return self.transport.outcome()

    cdef int outcome(self) except -1:
        return self.transport.outcome()

    cdef int on_failed(self, FaultKind kind, int code) except -1:
        return 0


cdef class Http1Half(Stream):

    # ---- our message, behind its head

    cdef int send_body(self, const char* p, size_t n, bint end) except -1:
        cdef Http1Session session = self.session
        if not self.is_sending():
            return SEND_OK
        if n:
            self.write_run(p, n)
        if end:
            return self.end_message()
        session.transport.flush_later()
        return session.outcome()

    cdef int write_run(self, const char* p, size_t n) except -1:
        cdef Http1Session session = self.session
        if self.framing == FRAME_CHUNKED:
            return write_chunk(session.transport, p, n)
        if self.framing == FRAME_LENGTH:
            # More bytes than promised would be taken for the next message.
            if <int64_t> n > self.left:
                return session.fail_later(FAULT_PROTOCOL)
            self.left -= <int64_t> n
        elif self.framing == FRAME_NONE:
            return self.write_unframed()
        return session.transport.send(p, n)

    cdef int send_trailers(self, Head trailers) except -1:
        cdef Http1Session session = self.session
        if not self.is_sending():
            return SEND_OK
        if self.framing != FRAME_CHUNKED:
            return self.end_message()
        if trailers.version == HTTP_2 and not is_writable(trailers):
            return session.fail_later(FAULT_PROTOCOL)
        self.ended = True
        write_last_chunk(session.transport, trailers)
        return session.on_message_sent()

    cdef int end_message(self) except -1:
        cdef Http1Session session = self.session
        # Fewer bytes than promised must not look like a complete message.
        if self.left or session.broken != FAULT_NONE:
            return session.fail_later(FAULT_PROTOCOL)
        self.ended = True
        if self.framing == FRAME_CHUNKED:
            write_last_chunk(session.transport, None)
        return session.on_message_sent()

    # ---- the other side's message

    cdef int hold(self) except -1:
        if not self.is_live() or self.session.held:
            return 0
        self.session.held = True
        return self.session.transport.pause(PAUSE_PEER_FULL)

    cdef int unhold(self) except -1:
        cdef Http1Session session = self.session
        if not self.is_live() or not session.held:
            return 0
        session.stop_holding()
        # An end that came meanwhile is not told twice by the transport.
        return session.on_end_missed() if session.transport.read_eof else 0

    cdef Transport into_tunnel(self):
        if not self.is_live():
            raise RuntimeError("the connection is gone: nothing to tunnel through")
        return self.session.give_up_transport()

    # ---- what the server and the client fill in

    cdef int write_unframed(self) except -1:
        raise NotImplementedError("Http1Half.write_unframed")

    cdef int report_body(self, Peer peer, const char* p, size_t n, bint end) except -1:
        raise NotImplementedError("Http1Half.report_body")

    cdef int report_trailers(self, Peer peer, Head trailers) except -1:
        raise NotImplementedError("Http1Half.report_trailers")

    cdef int report_reset(self, Peer peer, FaultKind kind) except -1:
        raise NotImplementedError("Http1Half.report_reset")
