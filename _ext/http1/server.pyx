# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Reads requests in order and writes their responses; read it from on_readable down, then the half from send_head down.

A callback into the exchange may end the exchange, the connection or both before it returns: every step looks at `state` again afterwards.
"""

from libc.stdint cimport int64_t
from linkerd2_py._ext.core.buffer cimport BUFFER_SMALL, give_back, lease
from linkerd2_py._ext.core.fault cimport FAULT_EOF, FAULT_IDLE, FAULT_LOCAL, FAULT_NONE, FAULT_PROTOCOL
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport HTTP_10, HTTP_11, HTTP_2, METHOD_CONNECT, METHOD_HEAD, drop_head, take_head
from linkerd2_py._ext.exchange.sound cimport is_writable
from linkerd2_py._ext.http1.body cimport BODY_CHUNKED, BODY_LENGTH, body_begin, body_next
from linkerd2_py._ext.http1.fields cimport has_fields
from linkerd2_py._ext.http1.parser cimport parse_fault_status, parse_fault_text, parse_request
from linkerd2_py._ext.http1.serializer cimport (
    FRAME_CHUNKED,
    FRAME_CLOSE,
    FRAME_LENGTH,
    FRAME_NONE,
    write_chunk,
    write_interim,
    write_last_chunk,
    write_refusal,
    write_response,
)
from linkerd2_py._ext.io.transport cimport PAUSE_PEER_FULL, PAUSE_TURN, SEND_FULL, SEND_OK

cdef enum:
    CLOCK_HEAD = 1
    CLOCK_IDLE = 2
    CLOCK_END = 3                # a client that has ended its side
    CLOCK_READER = 4             # a client that takes nothing of its response
    MIN_LOOK_NS = 10000000


cdef class Http1Server(Session):
    def __init__(self, Dispatch dispatch not None, Limits limits not None):
        self.dispatch = dispatch
        self.limits = limits
        self.state = SERVER_HEAD
        self.broken = FAULT_NONE
        self.half = Http1ServerHalf.__new__(Http1ServerHalf)
        self.half.server = self

    # ---- from the transport

    cdef int on_attached(self) except -1:
        self.advance()
        if self.state == SERVER_HEAD and self.exchanges == 0 and self.clock is None:
            return self.start_clock(CLOCK_HEAD, self.limits.head_timeout_ns)
        return 0

    cdef int on_readable(self) except -1:
        return self.advance()

    # A half-close: what was asked completely is answered, what is incomplete can no longer be completed.
    cdef int on_read_eof(self) except -1:
        return self.advance()

    cdef int on_hangup(self) except -1:
        return self.watch_end() if self.state == SERVER_BODY or self.state == SERVER_WAIT else 0

    cdef int on_drained(self) except -1:
        cdef Peer peer = self.half.peer
        if peer is not None:
            return peer.on_response_room()
        return self.advance()

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        cdef Peer peer = self.let_go()
        return 0 if peer is None else peer.on_request_reset(kind, 0)

    cdef int on_timer(self, Timer timer) except -1:
        if timer.kind == CLOCK_END:
            return self.check_end()
        if timer.kind == CLOCK_READER:
            return self.check_reader()
        if self.state != SERVER_HEAD or self.transport is None:
            return 0
        if timer.kind == CLOCK_IDLE or self.transport.inbox is None:
            return self.close()
        return self.refuse(408, "request head timed out")

    cdef int on_deferred(self) except -1:
        cdef FaultKind kind = self.broken
        cdef Peer peer
        if kind == FAULT_NONE or self.state == SERVER_OVER:
            return 0
        if self.transport is not None:
            self.transport.abort()
        peer = self.let_go()
        return 0 if peer is None else peer.on_request_reset(kind, 0)

    # ---- from the owner

    cdef int drain(self) except -1:
        self.draining = True
        self.close_after = True
        if self.state == SERVER_HEAD and self.transport is not None and self.transport.inbox is None:
            return self.close()
        return 0

    cdef int abort(self) except -1:
        cdef Transport transport = self.transport
        cdef Peer peer
        if self.state == SERVER_OVER:
            return 0
        peer = self.let_go()
        if transport is not None:
            transport.abort()
        return 0 if peer is None else peer.on_request_reset(FAULT_LOCAL, 0)

    # ---- reading

    cdef int advance(self) except -1:
        if self.advancing or self.state == SERVER_OVER or self.transport is None:
            return 0
        self.advancing = True
        try:
            while self.step():
                pass
        finally:
            self.advancing = False
        return 0 if self.state == SERVER_OVER or self.transport is None else self.settle_inbox()

    # True while there may be more to do with the bytes at hand.
    cdef bint step(self) except -1:
        if self.broken != FAULT_NONE or self.transport is None or self.transport.inbox is None:
            return False
        if self.state == SERVER_HEAD:
            return self.read_head()
        if self.state == SERVER_BODY and not self.held:
            return self.read_body()
        return False

    cdef bint read_head(self) except -1:
        cdef Transport transport = self.transport
        cdef Head head
        cdef int length
        # A client that does not read its responses gets no further requests read: on_drained goes on.
        if transport.inbox.size() == 0 or transport.outcome() == SEND_FULL:
            return False
        head = take_head()
        length = parse_request(transport.inbox.head(), transport.inbox.size(), &self.scanned, head, self.limits)
        if length > 0:
            self.begin_exchange(head, length)
            return self.state != SERVER_OVER
        drop_head(head)
        if length < 0:
            self.refuse(parse_fault_status(-length), parse_fault_text(-length))
        elif self.clock is None or not self.clock.armed or self.clock.kind != CLOCK_HEAD:
            self.start_clock(CLOCK_HEAD, self.limits.head_timeout_ns)
        return False

    cdef int begin_exchange(self, Head head, int length) except -1:
        cdef Peer peer
        self.stop_clock()
        self.head = head
        self.scanned = 0
        self.pending = length
        self.head_held = True
        body_begin(&self.body, head)
        self.state = SERVER_WAIT if head.end else SERVER_BODY
        # Persistence is this connection's affair; a head that is sent on says nothing about it.
        self.client_closes = head.wants_close
        self.close_after = self.draining or head.wants_close
        head.wants_close = False
        self.half.begin(head)
        peer = self.dispatch.new_exchange(self.half)
        self.half.peer = peer
        return peer.on_request_head(self.half, head)

    cdef bint read_body(self) except -1:
        cdef Buffer inbox = self.transport.inbox
        # Only chunks are followed by trailers.
        cdef Head trailers = take_head() if self.body.kind == BODY_CHUNKED else None
        # Ours, not the half's: the peer may let go of itself before it returns.
        cdef Peer peer = self.half.peer
        cdef Span run
        cdef int64_t used
        try:
            used = body_next(&self.body, inbox.head() + self.pending, inbox.size() - self.pending, &run, trailers, self.limits)
            if used < 0:
                self.body_refused(<int> -used)
                return False
            if used == 0 and not self.body.done:
                return False
            self.transport.size_reads()
            self.consume(used)
            if self.body.done:
                self.state = SERVER_WAIT
            elif run.len == 0:
                return True
            if self.body.done and trailers is not None and has_fields(trailers):
                peer.on_request_trailers(trailers)
            else:
                peer.on_request_body(run.ptr, run.len, self.body.done)
        finally:
            drop_head(trailers)
        return self.state != SERVER_OVER

    # ---- the inbox, while a head points into it

    cdef int consume(self, size_t count) except -1:
        if self.head_held and self.aside is None:
            self.pending += count
        else:
            self.transport.inbox.skip(count)
        return 0

    # Spans live in the inbox as long as nothing moves it: it is left in place until reading on would compact or replace it.
    cdef int settle_inbox(self) except -1:
        cdef Transport transport = self.transport
        cdef Buffer inbox = transport.inbox
        if inbox is not None:
            if self.pending and (inbox.start or inbox.room() == 0):
                self.set_aside()
            if transport.inbox is not None and transport.inbox.size():
                self.make_room()
            transport.release_empty_inbox()
        if not transport.read_eof:
            return 0
        if self.state == SERVER_BODY and not self.held:
            return self.truncated()
        if self.state == SERVER_HEAD:
            return self.close() if transport.outcome() == SEND_OK else 0
        return self.watch_end()

    # A full inbox stops the transport. Mid-message it must grow or be moved up; a pipelined request can wait.
    cdef int make_room(self) except -1:
        cdef Transport transport = self.transport
        cdef Buffer inbox = transport.inbox
        cdef Buffer larger
        if inbox.room() or self.held:
            return 0
        if self.state == SERVER_WAIT or transport.outcome() == SEND_FULL:
            return self.pause_turn()
        if inbox.start:
            inbox.compact()
        else:
            larger = lease(inbox.capacity * 2)
            larger.append(inbox.head(), inbox.size())
            transport.inbox = larger
            give_back(inbox)
        return self.resume_turn()

    cdef int pause_turn(self) except -1:
        if self.turn_paused:
            return 0
        self.turn_paused = True
        return self.transport.pause(PAUSE_TURN)

    cdef int resume_turn(self) except -1:
        if not self.turn_paused:
            return 0
        self.turn_paused = False
        return self.transport.resume(PAUSE_TURN)

    cdef int set_aside(self) except -1:
        cdef Transport transport = self.transport
        cdef Buffer inbox = transport.inbox
        cdef Buffer rest = None
        cdef size_t count = inbox.size() - self.pending
        if count:
            rest = lease(count)
            rest.append(inbox.head() + self.pending, count)
        self.aside = inbox
        self.pending = 0
        transport.inbox = rest
        return 0

    cdef int release_spans(self) except -1:
        cdef Transport transport = self.transport
        self.head_held = False
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

    # ---- ends

    cdef int response_ended(self) except -1:
        self.transport.flush_later()
        if self.state == SERVER_BODY and self.rest_is_here():
            self.consume(<size_t> self.body.remaining)
            self.state = SERVER_WAIT
        if self.state == SERVER_BODY:
            self.close_after = True
        return self.end_exchange()

    # The unread body is short and has arrived: the connection survives an answer that did not want it.
    cdef bint rest_is_here(self) noexcept:
        return self.body.kind == BODY_LENGTH and self.body.remaining <= <int64_t> self.unread()

    cdef size_t unread(self) noexcept:
        cdef Buffer inbox = self.transport.inbox
        return 0 if inbox is None else inbox.size() - self.pending

    cdef int end_exchange(self) except -1:
        self.release_spans()
        drop_head(self.head)
        self.head = None
        self.half.peer = None
        self.exchanges += 1
        if self.held:
            self.held = False
            self.transport.resume(PAUSE_PEER_FULL)
        if self.close_after:
            return self.close()
        self.state = SERVER_HEAD
        self.transport.read_size = BUFFER_SMALL
        return self.look_again()

    # The next request may be here already, or the client may have gone silent.
    cdef int look_again(self) except -1:
        cdef Transport transport = self.transport
        self.resume_turn()
        if transport.inbox is None or transport.inbox.size() == 0:
            if transport.read_eof:
                return self.close()
            if self.limits.keepalive_idle_ns:
                return self.start_clock(CLOCK_IDLE, self.limits.keepalive_idle_ns)
        elif not self.advancing:
            # The transport hands over what is left from its own turn, never from inside a command.
            transport.pause(PAUSE_TURN)
            transport.resume(PAUSE_TURN)
        return 0

    # Bytes we cannot read as requests are answered with their status; whatever follows them is discarded.
    cdef int refuse(self, int status, const char* reason) except -1:
        write_refusal(self.transport, status, reason if self.informational else NULL)
        return self.close()

    cdef int body_refused(self, int fault) except -1:
        cdef Transport transport = self.transport
        cdef bint started = self.half.started
        cdef Peer peer = self.let_go()
        if started:
            transport.abort()
        else:
            write_refusal(transport, parse_fault_status(fault), parse_fault_text(fault) if self.informational else NULL)
            transport.linger_for_input = True
            transport.close()
        return peer.on_request_reset(FAULT_PROTOCOL, 0)

    cdef int truncated(self) except -1:
        cdef Transport transport = self.transport
        cdef bint started = self.half.started
        cdef Peer peer = self.let_go()
        if started:
            transport.abort()
        else:
            transport.close()
        return peer.on_request_reset(FAULT_EOF, 0)

    # Orderly: our bytes, FIN, then the client's bytes are discarded until its FIN, so that no RST overtakes what we said. A client that
    # asked for the end with its last, complete request sends nothing more (RFC 9112 9.6).
    cdef int close(self) except -1:
        cdef Transport transport = self.transport
        transport.linger_for_input = not (self.client_closes and self.state == SERVER_WAIT)
        self.let_go()
        return transport.close()

    cdef int fail_later(self, FaultKind kind) except -1:
        if self.broken == FAULT_NONE:
            self.broken = kind
            self.transport.loop.defer(self)
        return 0

    # Forgets the connection; who was being served is returned once, so that they can be told after all else is settled.
    cdef Peer let_go(self):
        cdef Peer peer = self.half.peer
        self.state = SERVER_OVER
        self.half.peer = None
        self.half.server = None
        self.stop_clock()
        self.pending = 0
        self.head_held = False
        if self.aside is not None:
            give_back(self.aside)
            self.aside = None
        # Whoever still looks at the head finds it empty instead of pointing nowhere.
        drop_head(self.head)
        self.head = None
        return peer

    # ---- a client that has ended its side

    cdef int watch_end(self) except -1:
        """It may still read, or be gone: nothing tells until bytes are sent to it. After them its kernel says so, and no clock is needed."""
        cdef Transport transport = self.transport
        if self.end_seen and transport.tx_bytes != self.sent_mark or transport.outbox.size:
            self.end_meant = True
        if self.end_meant or (self.clock is not None and self.clock.armed and self.clock.kind == CLOCK_END):
            return 0
        self.end_seen = True
        self.sent_mark = transport.tx_bytes
        self.read_mark = transport.rx_bytes
        return self.start_clock(CLOCK_END, self.limits.half_close_ns)

    cdef int check_end(self) except -1:
        cdef Transport transport = self.transport
        if transport is None or self.state == SERVER_HEAD or self.state == SERVER_OVER:
            return 0
        if not transport.read_eof and not transport.peer_has_ended():
            self.end_seen = False
            return 0
        if transport.tx_bytes != self.sent_mark or transport.outbox.size or transport.rx_bytes != self.read_mark:
            return self.watch_end()
        return self.truncated()

    # ---- a client that takes nothing

    cdef int outcome(self) except -1:
        return self.watch_reader() if self.transport.outcome() == SEND_FULL else SEND_OK

    cdef int watch_reader(self) except -1:
        if self.limits.stalled_send_ns and (self.clock is None or not self.clock.armed or self.clock.kind == CLOCK_END):
            self.end_meant = self.end_seen
            self.sent_mark = self.transport.tx_bytes
            self.sent_at = self.transport.loop.now
            self.start_clock(CLOCK_READER, max(self.limits.stalled_send_ns // 4, <int64_t> MIN_LOOK_NS))
        return SEND_FULL

    cdef int check_reader(self) except -1:
        cdef Transport transport = self.transport
        cdef Peer peer
        if self.state == SERVER_OVER or transport is None or transport.outbox.size == 0:
            return 0
        if transport.tx_bytes != self.sent_mark:
            self.sent_mark = transport.tx_bytes
            self.sent_at = transport.loop.now
        elif transport.loop.now - self.sent_at >= self.limits.stalled_send_ns:
            peer = self.let_go()
            transport.abort()
            return 0 if peer is None else peer.on_request_reset(FAULT_IDLE, 0)
        return self.start_clock(CLOCK_READER, max(self.limits.stalled_send_ns // 4, <int64_t> MIN_LOOK_NS))

    # ---- time

    cdef int start_clock(self, int kind, int64_t delay_ns) except -1:
        if delay_ns == 0:
            return 0
        if self.clock is None:
            self.clock = Timer(self, kind)
        self.clock.kind = kind
        return self.transport.loop.arm(self.clock, self, delay_ns)

    cdef int stop_clock(self) except -1:
        if self.clock is None or self.transport is None:
            return 0
        self.transport.loop.disarm(self.clock)
        # An idle connection that nothing limits needs none.
        if self.limits.keepalive_idle_ns == 0:
            self.clock = None
        return 0


cdef class Http1ServerHalf(Stream):

    cdef int begin(self, Head head) except -1:
        self.client_version = head.version
        self.is_head = head.method_id == METHOD_HEAD
        self.is_connect = head.method_id == METHOD_CONNECT
        self.is_upgrade = head.upgrade
        self.started = self.ended = False
        return 0

    # Whoever owns the transport may have ended it without telling us.
    cdef bint is_live(self) noexcept:
        return self.peer is not None and self.server.transport is not None

    # ---- the response

    cdef int send_head(self, Head head) except -1:
        cdef Http1Server server = self.server
        cdef bint tunnel = (head.status == 101 and self.is_upgrade) or (self.is_connect and 200 <= head.status < 300)
        if not self.is_live() or self.started:
            return SEND_OK
        self.started = True
        if head.status < 200 and not tunnel or head.version == HTTP_2 and not is_writable(head):
            return server.fail_later(FAULT_PROTOCOL)
        if tunnel:
            head.content_length = -1
            write_response(server.transport, head, self.client_version, FRAME_NONE, False)
            return server.transport.flush()
        if not self.choose_framing(head):
            return server.fail_later(FAULT_PROTOCOL)
        if head.wants_close or self.framing == FRAME_CLOSE or self.is_last():
            server.close_after = True
        write_response(server.transport, head, self.client_version, self.framing, server.close_after)
        if head.end:
            return self.end_response()
        server.transport.flush_later()
        return server.outcome()

    # No request can follow this one: its body is still on the way, what came behind it was meant for a tunnel, or the client has ended.
    cdef bint is_last(self) noexcept:
        cdef Http1Server server = self.server
        if server.state == SERVER_BODY:
            return not server.rest_is_here()
        if server.unread():
            return self.is_upgrade or self.is_connect
        return server.transport.read_eof

    # False: the head contradicts itself. A length of zero is told where the message ends with its head.
    cdef bint choose_framing(self, Head head) noexcept:
        self.left = 0
        if self.is_head or head.status == 204 or head.status == 304:
            self.framing = FRAME_NONE
        elif head.end:
            if head.content_length > 0:
                return False
            head.content_length = 0
            self.framing = FRAME_LENGTH
        elif head.content_length >= 0:
            self.left = head.content_length
            self.framing = FRAME_LENGTH
        else:
            self.framing = FRAME_CHUNKED if self.client_version == HTTP_11 else FRAME_CLOSE
        return True

    cdef int send_interim(self, Head head) except -1:
        if not self.is_live() or self.started or self.client_version == HTTP_10:
            return SEND_OK
        if head.version == HTTP_2 and not is_writable(head):
            return self.server.fail_later(FAULT_PROTOCOL)
        write_interim(self.server.transport, head)
        return self.server.transport.flush()

    cdef int send_body(self, const char* p, size_t n, bint end) except -1:
        cdef Http1Server server = self.server
        if not self.is_live() or not self.started or self.ended or server.broken != FAULT_NONE:
            return SEND_OK
        if n and self.framing != FRAME_NONE:
            self.write_run(p, n)
        if end:
            return self.end_response()
        server.transport.flush_later()
        return server.outcome()

    cdef int write_run(self, const char* p, size_t n) except -1:
        cdef Transport transport = self.server.transport
        if self.framing == FRAME_CHUNKED:
            return write_chunk(transport, p, n)
        if self.framing == FRAME_LENGTH:
            if <int64_t> n > self.left:
                return self.server.fail_later(FAULT_PROTOCOL)
            self.left -= <int64_t> n
        return transport.send(p, n)

    cdef int send_trailers(self, Head trailers) except -1:
        cdef Http1Server server = self.server
        if not self.is_live() or not self.started or self.ended or server.broken != FAULT_NONE:
            return SEND_OK
        if self.framing != FRAME_CHUNKED:
            return self.end_response()
        if trailers.version == HTTP_2 and not is_writable(trailers):
            return server.fail_later(FAULT_PROTOCOL)
        self.ended = True
        write_last_chunk(server.transport, trailers)
        return server.response_ended()

    cdef int end_response(self) except -1:
        cdef Http1Server server = self.server
        # Fewer bytes than promised must not look like a complete message.
        if self.framing == FRAME_LENGTH and self.left or server.broken != FAULT_NONE:
            return server.fail_later(FAULT_PROTOCOL)
        self.ended = True
        if self.framing == FRAME_CHUNKED:
            write_last_chunk(server.transport, None)
        return server.response_ended()

    cdef int reset(self, FaultKind kind, uint32_t code) except -1:
        cdef Http1Server server = self.server
        cdef Transport transport
        if self.peer is None or server is None:
            return 0
        transport = server.transport
        server.let_go()
        if transport is None:
            return 0
        # What the endpoint did send is not held back from the client.
        transport.flush()
        return transport.abort()

    # ---- the request

    cdef int hold(self) except -1:
        if not self.is_live() or self.server.held:
            return 0
        self.server.held = True
        return self.server.transport.pause(PAUSE_PEER_FULL)

    cdef int unhold(self) except -1:
        cdef Http1Server server = self.server
        if not self.is_live() or not server.held:
            return 0
        server.held = False
        server.transport.resume(PAUSE_PEER_FULL)
        # An end that came meanwhile is not told twice by the transport.
        if server.transport.read_eof and server.state == SERVER_BODY and server.unread() == 0:
            return server.fail_later(FAULT_EOF)
        return 0

    cdef int release_head(self) except -1:
        if not self.is_live() or not self.server.head_held:
            return 0
        return self.server.release_spans()

    cdef Transport into_tunnel(self):
        cdef Http1Server server = self.server
        cdef Transport transport
        if not self.is_live():
            raise RuntimeError("the connection is gone: nothing to tunnel through")
        transport = server.transport
        server.release_spans()
        if server.held:
            server.held = False
            transport.resume(PAUSE_PEER_FULL)
        server.resume_turn()
        server.let_go()
        transport.detach()
        return transport
