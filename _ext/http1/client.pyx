# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Writes one request at a time and reads its response; read the half from send_head down, then the codec from
read_head down.

The owner is told of a connection's end after its exchange, and never from inside a command.
"""

from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.buffer cimport BUFFER_SMALL, Buffer
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, check
from linkerd2_py._ext.core.fault cimport FAULT_EOF, FAULT_LOCAL, FAULT_NONE, FAULT_PROTOCOL
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.head cimport FORM_ABSOLUTE, HTTP_2, METHOD_CONNECT, drop_head, take_head
from linkerd2_py._ext.exchange.sound cimport is_writable
from linkerd2_py._ext.http1.body cimport BODY_UNTIL_CLOSE, body_begin
from linkerd2_py._ext.http1.parser cimport parse_response
from linkerd2_py._ext.http1.serializer cimport FRAME_CHUNKED, FRAME_LENGTH, FRAME_NONE, write_request
from linkerd2_py._ext.http1.session cimport PHASE_BODY, PHASE_HEAD, PHASE_OVER, PHASE_QUIET
from linkerd2_py._ext.io.transport cimport SEND_OK, Transport


cdef class Http1Client(Http1Session):
    def __init__(self, ConnectionOwner owner not None, Limits limits not None):
        self.owner = owner
        self.limits = limits
        self.phase = PHASE_QUIET
        self.broken = self.close_kind = FAULT_NONE
        self.reusable = True
        self.half = Http1ClientHalf.__new__(Http1ClientHalf)
        self.half.session = self

    # ---- from the owner

    cdef Stream open_stream(self, Peer peer):
        if L5D_DEBUG:
            is_free = self.phase == PHASE_QUIET or self.phase == PHASE_OVER
            check(is_free, b"a second stream on an HTTP/1 connection")
        if self.phase == PHASE_QUIET:
            self.phase = PHASE_HEAD
            self.exchanges += 1
        (<Http1ClientHalf> self.half).begin(self, peer)
        return self.half

    cdef int retire(self) except -1:
        self.reusable = False
        if self.phase != PHASE_QUIET or self.transport is None:
            return 0
        return self.close_stale(FAULT_LOCAL)

    # ---- from the transport

    cdef int on_attached(self) except -1:
        cdef Transport transport = self.transport
        # Paused for a slow client, the end of a complete response must not be lost to a reset that follows
        # it.
        transport.reads_before_fault = True
        self.loop = transport.loop
        self.idle_since = self.loop.now
        if transport.read_eof or (transport.inbox is not None and transport.inbox.size()):
            transport.abort()
            self.let_go()
            return self.closed_later(FAULT_PROTOCOL)
        return 0

    cdef int on_drained(self) except -1:
        cdef Peer peer = self.half.peer
        return 0 if peer is None or self.half.ended else peer.on_request_room()

    cdef int on_deferred(self) except -1:
        """Says what a command could not say from inside: the connection failed, or it is over."""
        cdef Http1Half half = self.half
        cdef FaultKind kind = self.broken
        cdef Peer peer
        if kind != FAULT_NONE:
            self.broken = FAULT_NONE
            if self.phase != PHASE_OVER:
                if self.transport is not None:
                    self.transport.abort()
                self.close_due = True
                self.close_kind = kind
            peer = self.let_go()
            if peer is not None:
                half.report_reset(peer, kind)
        if self.eof_due and self.phase != PHASE_OVER and not self.held and self.transport is not None:
            self.eof_due = False
            self.ended_by_peer()
        if self.close_due:
            self.close_due = False
            return self.tell_closed(self.close_kind, 0)
        return 0

    # ---- reading

    cdef bint read_head(self) except -1:
        cdef Http1ClientHalf half = <Http1ClientHalf> self.half
        cdef Buffer inbox = self.transport.inbox
        cdef Head head
        cdef int length
        # Bytes that came before the request left answer something else (the request goes to another
        # connection).
        if not half.started or half.untouched():
            return self.on_unasked()
        head = take_head()
        try:
            length = parse_response(inbox.head(), inbox.size(), &self.scanned, head, self.limits, half.method)
            if length > 0:
                self.scanned = 0
                return self.report_head(head, length)
            if length < 0:
                self.fail(FAULT_PROTOCOL, 0)
            return False
        finally:
            drop_head(head)

    cdef bint report_head(self, Head head, int length) except -1:
        cdef Http1ClientHalf half = <Http1ClientHalf> self.half
        cdef Peer peer = half.peer
        self.pending = length
        if head.status < 200 and head.status != 101:
            half.interims += 1
            if half.interims > self.limits.interim_responses:
                self.fail(FAULT_PROTOCOL, 0)
                return False
            peer.on_interim_head(head)
        else:
            if head.status == 101 and not half.is_upgrade:
                self.fail(FAULT_PROTOCOL, 0)
                return False
            self.phase = PHASE_BODY
            body_begin(&self.body, head)
            if head.wants_close or half.is_upgrade or half.method == METHOD_CONNECT:
                self.reusable = False
            # Persistence is this connection's affair; a head that is sent on says nothing about it.
            head.wants_close = False
            peer.on_response_head(head)
        if self.phase == PHASE_OVER or self.transport is None:
            return False
        self.transport.inbox.skip(self.pending)
        self.pending = 0
        if self.phase == PHASE_BODY and self.body.done:
            self.end_exchange()
        return self.phase != PHASE_OVER

    cdef bint on_unasked(self) except -1:
        """Whatever this is, it must not become the answer to the next request."""
        self.fail(FAULT_PROTOCOL, 0)
        return False

    cdef int make_room(self) except -1:
        cdef Buffer inbox = self.transport.inbox
        return self.enlarge_inbox() if inbox.room() == 0 and not self.held else 0

    cdef int on_end(self) except -1:
        return 0 if self.held else self.ended_by_peer()

    cdef int on_end_missed(self) except -1:
        if self.transport.inbox is None:
            self.eof_due = True
            self.loop.defer(self)
        return 0

    cdef int ended_by_peer(self) except -1:
        """FIN ends a body that has no other end; anything else it cuts short."""
        cdef Http1Half half = self.half
        if self.phase == PHASE_QUIET:
            return self.close_stale(FAULT_EOF)
        if self.phase == PHASE_BODY and self.body.kind == BODY_UNTIL_CLOSE:
            self.body.done = True
            half.report_body(half.peer, NULL, 0, True)
            return 0 if self.phase == PHASE_OVER or self.transport is None else self.end_exchange()
        return self.fail(FAULT_EOF, 0)

    # ---- ends

    cdef int end_exchange(self) except -1:
        cdef Transport transport = self.transport
        cdef bint reuse = self.reusable and self.half.ended and not transport.read_eof
        self.stop_holding()
        self.half.peer = None
        if not reuse or transport.outbox.size:
            # A request that nobody reads to its end is cut off, one that was read ends in order.
            if self.half.ended and not transport.outbox.size:
                transport.close()
            else:
                transport.abort()
            self.let_go()
            return self.tell_closed(FAULT_NONE, 0)
        self.phase = PHASE_QUIET
        transport.read_size = BUFFER_SMALL
        self.idle_since = self.loop.now
        # Bytes behind a complete response make the connection worthless; the step loop sees them as nobody's.
        if transport.inbox is not None and transport.inbox.size():
            return 0
        return self.owner.on_connection_room(self)

    cdef int fail(self, FaultKind kind, int code) except -1:
        cdef Http1ClientHalf half = <Http1ClientHalf> self.half
        half.refused = half.untouched()
        return Http1Session.fail(self, kind, code)

    cdef int on_failed(self, FaultKind kind, int code) except -1:
        return self.tell_closed(kind, code)

    cdef int fail_later(self, FaultKind kind) except -1:
        cdef Http1ClientHalf half = <Http1ClientHalf> self.half
        if self.broken == FAULT_NONE:
            # What cannot be written to this endpoint cannot be written to another.
            half.refused = kind != FAULT_PROTOCOL and half.untouched()
        return Http1Session.fail_later(self, kind)

    cdef int close_stale(self, FaultKind kind) except -1:
        cdef Transport transport = self.transport
        self.let_go()
        transport.close()
        return self.tell_closed(kind, 0)

    cdef int closed_later(self, FaultKind kind) except -1:
        self.close_due = True
        self.close_kind = kind
        return self.loop.defer(self)

    cdef int tell_closed(self, FaultKind kind, int code) except -1:
        cdef ConnectionOwner owner = self.owner
        self.owner = None
        return 0 if owner is None else owner.on_connection_closed(self, kind, code)

    cdef Peer let_go(self):
        self.reusable = False
        return Http1Session.let_go(self)

    cdef Transport give_up_transport(self):
        cdef Transport transport = Http1Session.give_up_transport(self)
        self.closed_later(FAULT_NONE)
        return transport


cdef class Http1ClientHalf(Http1Half):

    cdef int begin(self, Http1Client client, Peer peer) except -1:
        self.session = client
        self.peer = peer
        self.is_upgrade = self.started = self.ended = self.refused = False
        self.method = 0
        self.interims = 0
        return 0

    cdef bint untouched(self) noexcept:
        """Nothing of this request has left us, so the endpoint cannot have acted on it."""
        cdef Transport transport = self.session.transport if self.session is not None else None
        return not self.started or transport is None or transport.tx_bytes == self.sent_before

    # ---- the request

    cdef int send_head(self, Head head) except -1:
        cdef Http1Session client = self.session
        cdef Transport transport
        if self.peer is None or self.started:
            return SEND_OK
        self.method = head.method_id
        self.is_upgrade = head.upgrade
        if client.phase == PHASE_OVER or client.transport is None:
            return client.fail_later(FAULT_EOF)
        transport = client.transport
        self.sent_before = transport.tx_bytes
        if head.version == HTTP_2 and not is_writable(head) or not self.choose_framing(head):
            return client.fail_later(FAULT_PROTOCOL)
        self.started = True
        write_request(transport, head, self.framing, head.form == FORM_ABSOLUTE)
        if head.end:
            return self.end_message()
        transport.flush_later()
        return transport.outcome()

    cdef bint choose_framing(self, Head head) noexcept:
        """False: the head contradicts itself."""
        self.left = 0
        if head.end or head.method_id == METHOD_CONNECT:
            self.framing = FRAME_NONE
            return head.content_length <= 0
        if head.content_length >= 0:
            self.left = head.content_length
            self.framing = FRAME_LENGTH
        else:
            self.framing = FRAME_CHUNKED
        return True

    cdef int reset(self, FaultKind kind, uint32_t code) except -1:
        cdef Http1Client client = <Http1Client> self.session
        cdef bint live
        if self.peer is None or client is None:
            return 0
        live = client.phase != PHASE_OVER
        if live and client.transport is not None:
            client.transport.abort()
        client.let_go()
        return client.closed_later(kind) if live else 0

    cdef int write_unframed(self) except -1:
        return self.session.fail_later(FAULT_PROTOCOL)

    # ---- the response

    cdef int report_body(self, Peer peer, const char* p, size_t n, bint end) except -1:
        return peer.on_response_body(p, n, end)

    cdef int report_trailers(self, Peer peer, Head trailers) except -1:
        return peer.on_response_trailers(trailers)

    cdef int report_reset(self, Peer peer, FaultKind kind) except -1:
        return peer.on_response_reset(kind, 0, self.refused)
