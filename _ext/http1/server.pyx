# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Reads requests in order and writes their responses; read it from on_attached down, then the half from
send_head down."""

from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.core.buffer cimport BUFFER_SMALL, Buffer, lease
from linkerd2_py._ext.core.fault cimport (
    FAULT_EOF,
    FAULT_IDLE,
    FAULT_LOCAL,
    FAULT_NONE,
    FAULT_PROTOCOL,
    FaultKind,
)
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.head cimport (
    HTTP_2,
    HTTP_10,
    HTTP_11,
    METHOD_CONNECT,
    METHOD_HEAD,
    drop_head,
    take_head,
)
from linkerd2_py._ext.exchange.sound cimport is_writable
from linkerd2_py._ext.exchange.stream cimport Peer
from linkerd2_py._ext.http1.body cimport BODY_LENGTH, body_begin
from linkerd2_py._ext.http1.parser cimport parse_fault_status, parse_fault_text, parse_request
from linkerd2_py._ext.http1.serializer cimport (
    FRAME_CHUNKED,
    FRAME_CLOSE,
    FRAME_LENGTH,
    FRAME_NONE,
    write_interim,
    write_refusal,
    write_response,
)
from linkerd2_py._ext.http1.session cimport PHASE_BODY, PHASE_HEAD, PHASE_OVER, PHASE_QUIET
from linkerd2_py._ext.io.transport cimport PAUSE_TURN, SEND_FULL, SEND_OK, Transport

# What the one clock of a connection is running for.
cdef enum:
    CLOCK_HEAD = 1
    CLOCK_IDLE = 2
    CLOCK_END = 3                # a client that has ended its side
    CLOCK_READER = 4             # a client that takes nothing of its response

cdef enum:
    # How often a reader is looked at within the time it has: it is cut at most that share late
    LOOKS = 4
    MIN_LOOK_NS = 10000000       # ... but no more often than the timer wheel can tell apart


cdef class Http1Server(Http1Session):
    def __init__(self, Dispatch dispatch not None, Limits limits not None):
        self.dispatch = dispatch
        self.limits = limits
        self.serves = True
        self.phase = PHASE_HEAD
        self.broken = FAULT_NONE
        self.half = Http1ServerHalf.__new__(Http1ServerHalf)
        self.half.session = self

    # ---- from the transport

    cdef int on_attached(self) except -1:
        self.loop = self.transport.loop
        self.advance()
        if self.phase == PHASE_HEAD and self.exchanges == 0 and self.clock is None:
            return self.start_clock(CLOCK_HEAD, self.limits.head_timeout_ns)
        return 0

    cdef int on_hangup(self) except -1:
        return self.watch_end() if self.phase == PHASE_BODY or self.phase == PHASE_QUIET else 0

    cdef int on_drained(self) except -1:
        cdef Peer peer = self.half.peer
        if peer is not None:
            return peer.on_response_room()
        return self.advance()

    cdef int on_timer(self, Timer timer) except -1:
        if timer.kind == CLOCK_END:
            return self.check_end()
        if timer.kind == CLOCK_READER:
            return self.check_reader()
        if self.phase != PHASE_HEAD or self.transport is None:
            return 0
        if timer.kind == CLOCK_IDLE or self.transport.inbox is None:
            return self.close()
        return self.refuse(408, "request head timed out")

    cdef int on_deferred(self) except -1:
        return 0 if self.broken == FAULT_NONE or self.phase == PHASE_OVER else self.fail(self.broken, 0)

    # ---- from the owner

    cdef int drain(self) except -1:
        self.draining = True
        self.close_after = True
        if self.phase == PHASE_HEAD and self.transport is not None and self.transport.inbox is None:
            return self.close()
        return 0

    cdef int abort(self) except -1:
        return 0 if self.phase == PHASE_OVER else self.fail(FAULT_LOCAL, 0)

    # ---- reading

    cdef bint read_head(self) except -1:
        cdef Buffer inbox = self.transport.inbox
        cdef Head head
        cdef int length
        # A client that does not read its responses gets no further requests read: on_drained goes on.
        if self.transport.outcome() == SEND_FULL:
            return False
        head = take_head()
        length = parse_request(inbox.head(), inbox.size(), &self.scanned, head, self.limits)
        if length > 0:
            self.begin_exchange(head, length)
            return self.phase != PHASE_OVER
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
        self.keeps = True
        body_begin(&self.body, head)
        self.phase = PHASE_QUIET if head.end else PHASE_BODY
        # Persistence is this connection's affair; a head that is sent on says nothing about it.
        self.client_closes = head.wants_close
        self.close_after = self.draining or head.wants_close
        head.wants_close = False
        (<Http1ServerHalf> self.half).begin(head)
        peer = self.dispatch.new_exchange(self.half)
        self.half.peer = peer
        return peer.on_request_head(self.half, head)

    # ---- the inbox, while a head points into it

    cdef int make_room(self) except -1:
        cdef Transport transport = self.transport
        cdef Buffer inbox = transport.inbox
        # Spans live in the inbox as long as nothing moves it: it is left in place until reading on would
        # compact or replace it.
        if self.pending and (inbox.start or inbox.room() == 0):
            self.set_aside()
            inbox = transport.inbox
        if inbox is None or inbox.size() == 0 or inbox.room() or self.held:
            return 0
        # In the middle of a message the inbox must grow or be moved up; a pipelined request can wait.
        if self.phase == PHASE_QUIET or transport.outcome() == SEND_FULL:
            return self.pause_turn()
        self.enlarge_inbox()
        return self.resume_turn()

    # A half-close: what was asked completely is answered, what is incomplete can no longer be completed.
    cdef int on_end(self) except -1:
        if self.phase == PHASE_BODY and not self.held:
            return self.truncated()
        if self.phase == PHASE_HEAD:
            return self.close() if self.transport.outcome() == SEND_OK else 0
        return self.watch_end()

    cdef int on_end_missed(self) except -1:
        return self.fail_later(FAULT_EOF) if self.phase == PHASE_BODY and self.unread() == 0 else 0

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
        self.keeps = False
        self.pending = 0
        transport.inbox = rest
        return 0

    # ---- ends

    cdef int on_message_sent(self) except -1:
        self.transport.flush_later()
        if self.phase == PHASE_BODY and self.rest_is_here():
            self.consume(<size_t> self.body.remaining)
            self.phase = PHASE_QUIET
        if self.phase == PHASE_BODY:
            self.close_after = True
        return self.end_exchange()

    # The unread body is short and has arrived: the connection survives an answer that did not want it.
    cdef bint rest_is_here(self) noexcept:
        return self.body.kind == BODY_LENGTH and self.body.remaining <= <int64_t> self.unread()

    cdef int end_exchange(self) except -1:
        self.release_spans()
        drop_head(self.head)
        self.head = None
        self.half.peer = None
        self.exchanges += 1
        self.stop_holding()
        if self.close_after:
            return self.close()
        self.phase = PHASE_HEAD
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
        self.write_refusal(self.transport, status, reason)
        return self.close()

    cdef int write_refusal(self, Transport transport, int status, const char* reason) except -1:
        return write_refusal(transport, status, reason if self.informational else NULL)

    cdef int on_bad_body(self, int fault) except -1:
        cdef Transport transport = self.transport
        cdef bint started = self.half.started
        cdef Peer peer = self.let_go()
        if started:
            transport.abort()
        else:
            self.write_refusal(transport, parse_fault_status(fault), parse_fault_text(fault))
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

    # Orderly: our bytes, FIN, then the client's bytes are discarded until its FIN, so that no RST overtakes
    # what we said. A client that asked for the end with its last, complete request sends nothing more (RFC
    # 9112 9.6).
    cdef int close(self) except -1:
        cdef Transport transport = self.transport
        transport.linger_for_input = not (self.client_closes and self.phase == PHASE_QUIET)
        self.let_go()
        return transport.close()

    cdef Peer let_go(self):
        cdef Peer peer = Http1Session.let_go(self)
        self.stop_clock()
        # Whoever still looks at the head finds it empty instead of pointing nowhere.
        drop_head(self.head)
        self.head = None
        return peer

    cdef Transport give_up_transport(self):
        self.resume_turn()
        return Http1Session.give_up_transport(self)

    # ---- a client that has ended its side

    cdef int watch_end(self) except -1:
        """It may still read, or be gone: nothing tells until bytes are sent to it. After them its kernel says
        so, and no clock is needed."""
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
        if transport is None or self.phase == PHASE_HEAD or self.phase == PHASE_OVER:
            return 0
        if not transport.read_eof and not transport.peer_has_ended():
            self.end_seen = False
            return 0
        if transport.tx_bytes != self.sent_mark or transport.outbox.size:
            return self.watch_end()
        if transport.rx_bytes != self.read_mark:
            return self.watch_end()
        return self.truncated()

    # ---- a client that takes nothing

    cdef int outcome(self) except -1:
        return self.watch_reader() if self.transport.outcome() == SEND_FULL else SEND_OK

    cdef int watch_reader(self) except -1:
        cdef bint free = self.clock is None or not self.clock.armed or self.clock.kind == CLOCK_END
        if free and self.limits.stalled_send_ns:
            self.end_meant = self.end_seen
            self.sent_mark = self.transport.tx_bytes
            self.sent_at = self.loop.now
            self.look_at_reader()
        return SEND_FULL

    cdef int look_at_reader(self) except -1:
        cdef int64_t delay = self.limits.stalled_send_ns // LOOKS
        return self.start_clock(CLOCK_READER, max(delay, <int64_t> MIN_LOOK_NS))

    cdef int check_reader(self) except -1:
        cdef Transport transport = self.transport
        if self.phase == PHASE_OVER or transport is None or transport.outbox.size == 0:
            return 0
        if transport.tx_bytes != self.sent_mark:
            self.sent_mark = transport.tx_bytes
            self.sent_at = self.loop.now
        elif self.loop.now - self.sent_at >= self.limits.stalled_send_ns:
            return self.fail(FAULT_IDLE, 0)
        return self.look_at_reader()

    # ---- time

    cdef int start_clock(self, int kind, int64_t delay_ns) except -1:
        if delay_ns == 0:
            return 0
        if self.clock is None:
            self.clock = Timer(self, kind)
        self.clock.kind = kind
        return self.loop.arm(self.clock, self, delay_ns)

    cdef int stop_clock(self) except -1:
        if self.clock is None:
            return 0
        self.loop.disarm(self.clock)
        # An idle connection that nothing limits needs none.
        if self.limits.keepalive_idle_ns == 0:
            self.clock = None
        return 0


cdef class Http1ServerHalf(Http1Half):

    cdef int begin(self, Head head) except -1:
        self.client_version = head.version
        self.is_head = head.method_id == METHOD_HEAD
        self.is_connect = head.method_id == METHOD_CONNECT
        self.is_upgrade = head.upgrade
        self.started = self.ended = False
        return 0

    # ---- the response

    cdef int send_head(self, Head head) except -1:
        cdef Http1Server server = <Http1Server> self.session
        cdef bint upgrades = head.status == 101 and self.is_upgrade
        cdef bint tunnel = upgrades or (self.is_connect and 200 <= head.status < 300)
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
            return self.end_message()
        server.transport.flush_later()
        return server.outcome()

    # No request can follow this one: its body is still on the way, what came behind it was meant for a
    # tunnel, or the client has ended.
    cdef bint is_last(self) noexcept:
        cdef Http1Server server = <Http1Server> self.session
        if server.phase == PHASE_BODY:
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
            return self.session.fail_later(FAULT_PROTOCOL)
        write_interim(self.session.transport, head)
        return self.session.transport.flush()

    cdef int write_unframed(self) except -1:
        # What answers HEAD, and 204 and 304, has no body, whatever the endpoint sends for one.
        return 0

    cdef int reset(self, FaultKind kind, uint32_t code) except -1:
        cdef Http1Server server = <Http1Server> self.session
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

    cdef int release_head(self) except -1:
        return self.session.release_spans() if self.is_live() else 0

    cdef int report_body(self, Peer peer, const char* p, size_t n, bint end) except -1:
        return peer.on_request_body(p, n, end)

    cdef int report_trailers(self, Peer peer, Head trailers) except -1:
        return peer.on_request_trailers(trailers)

    cdef int report_reset(self, Peer peer, FaultKind kind) except -1:
        return peer.on_request_reset(kind, 0)
