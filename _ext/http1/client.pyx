# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Writes one request at a time and reads its response; read the half from send_head down, then the codec from on_readable down.

A callback may end the exchange, the connection or both before it returns: every step looks at `state` again afterwards.
The owner is told of a connection's end after its exchange, and never from inside a command.
"""

from linkerd2_py._ext.core.buffer cimport BUFFER_SMALL, Buffer, give_back, lease
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, check
from linkerd2_py._ext.core.fault cimport FAULT_EOF, FAULT_LOCAL, FAULT_NONE, FAULT_PROTOCOL
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport FORM_ABSOLUTE, HTTP_2, METHOD_CONNECT, drop_head, take_head
from linkerd2_py._ext.exchange.sound cimport is_writable
from linkerd2_py._ext.http1.body cimport BODY_CHUNKED, BODY_UNTIL_CLOSE, body_begin, body_next
from linkerd2_py._ext.http1.fields cimport has_fields
from linkerd2_py._ext.http1.parser cimport parse_response
from linkerd2_py._ext.http1.serializer cimport (
    FRAME_CHUNKED,
    FRAME_LENGTH,
    FRAME_NONE,
    write_chunk,
    write_last_chunk,
    write_request,
)
from linkerd2_py._ext.io.transport cimport PAUSE_PEER_FULL, SEND_OK


cdef class Http1Client(Session):
    def __init__(self, ConnectionOwner owner not None, Limits limits not None):
        self.owner = owner
        self.limits = limits
        self.state = CLIENT_IDLE
        self.broken = self.close_kind = FAULT_NONE
        self.reusable = True
        self.half = Http1ClientHalf.__new__(Http1ClientHalf)
        self.half.client = self

    # ---- from the owner

    cdef Stream open_stream(self, Peer peer):
        if L5D_DEBUG:
            check(self.state == CLIENT_IDLE or self.state == CLIENT_OVER, b"a second stream on an HTTP/1 connection")
        if self.state == CLIENT_IDLE:
            self.state = CLIENT_HEAD
            self.exchanges += 1
        self.half.begin(self, peer)
        return self.half

    cdef int retire(self) except -1:
        self.reusable = False
        return self.close_stale(FAULT_LOCAL) if self.state == CLIENT_IDLE and self.transport is not None else 0

    # ---- from the transport

    cdef int on_attached(self) except -1:
        cdef Transport transport = self.transport
        # Paused for a slow client, the end of a complete response must not be lost to a reset that follows it.
        transport.reads_before_fault = True
        self.loop = transport.loop
        self.idle_since = self.loop.now
        if transport.read_eof or (transport.inbox is not None and transport.inbox.size()):
            transport.abort()
            self.let_go()
            return self.closed_later(FAULT_PROTOCOL)
        return 0

    cdef int on_readable(self) except -1:
        return self.advance()

    cdef int on_read_eof(self) except -1:
        return self.advance()

    cdef int on_drained(self) except -1:
        cdef Peer peer = self.half.peer
        return 0 if peer is None or self.half.ended else peer.on_request_room()

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        cdef bint refused = self.half.untouched()
        cdef Peer peer = self.let_go()
        if peer is not None:
            peer.on_response_reset(kind, 0, refused)
        return self.tell_closed(kind, code)

    # What a command could not say from inside: the connection failed, or it is over.
    cdef int on_deferred(self) except -1:
        cdef FaultKind kind = self.broken
        cdef Peer peer
        if kind != FAULT_NONE:
            self.broken = FAULT_NONE
            peer = self.half.peer
            if self.state != CLIENT_OVER:
                if self.transport is not None:
                    self.transport.abort()
                self.close_due = True
                self.close_kind = kind
            self.let_go()
            if peer is not None:
                peer.on_response_reset(kind, 0, self.half.refused)
        if self.eof_due and self.state != CLIENT_OVER and not self.held and self.transport is not None:
            self.eof_due = False
            self.ended_by_peer()
        if self.close_due:
            self.close_due = False
            return self.tell_closed(self.close_kind, 0)
        return 0

    # ---- reading

    cdef int advance(self) except -1:
        if self.advancing or self.state == CLIENT_OVER or self.transport is None:
            return 0
        self.advancing = True
        try:
            while self.step():
                pass
        finally:
            self.advancing = False
        return 0 if self.state == CLIENT_OVER or self.transport is None else self.settle_inbox()

    # True while there may be more to do with the bytes at hand.
    cdef bint step(self) except -1:
        cdef Buffer inbox
        if self.broken != FAULT_NONE or self.held or self.transport is None:
            return False
        inbox = self.transport.inbox
        if inbox is None or inbox.size() == 0:
            return False
        # Bytes that came before the request left answer something else (the request goes to another connection).
        if self.state == CLIENT_HEAD and self.half.started and not self.half.untouched():
            return self.read_head()
        if self.state == CLIENT_BODY:
            return self.read_body()
        # Nobody asked: whatever this is, it must not become the answer to the next request.
        self.fail(FAULT_PROTOCOL, 0)
        return False

    cdef bint read_head(self) except -1:
        cdef Buffer inbox = self.transport.inbox
        cdef Head head = take_head()
        cdef int length
        try:
            length = parse_response(inbox.head(), inbox.size(), &self.scanned, head, self.limits, self.half.method)
            if length > 0:
                self.scanned = 0
                return self.report_head(head, length)
            if length < 0:
                self.fail(FAULT_PROTOCOL, 0)
            return False
        finally:
            drop_head(head)

    cdef bint report_head(self, Head head, int length) except -1:
        cdef Peer peer = self.half.peer
        self.pending = length
        if head.status < 200 and head.status != 101:
            self.half.interims += 1
            if self.half.interims > self.limits.interim_responses:
                self.fail(FAULT_PROTOCOL, 0)
                return False
            peer.on_interim_head(head)
        else:
            if head.status == 101 and not self.half.is_upgrade:
                self.fail(FAULT_PROTOCOL, 0)
                return False
            self.state = CLIENT_BODY
            body_begin(&self.body, head)
            if head.wants_close or self.half.is_upgrade or self.half.method == METHOD_CONNECT:
                self.reusable = False
            # Persistence is this connection's affair; a head that is sent on says nothing about it.
            head.wants_close = False
            peer.on_response_head(head)
        if self.state == CLIENT_OVER or self.transport is None:
            return False
        self.transport.inbox.skip(self.pending)
        self.pending = 0
        if self.state == CLIENT_BODY and self.body.done:
            self.end_exchange()
        return self.state != CLIENT_OVER

    cdef bint read_body(self) except -1:
        cdef Buffer inbox = self.transport.inbox
        # Only chunks are followed by trailers.
        cdef Head trailers = take_head() if self.body.kind == BODY_CHUNKED else None
        # Ours, not the half's: the peer may let go of itself before it returns.
        cdef Peer peer = self.half.peer
        cdef Span run
        cdef int64_t used
        try:
            used = body_next(&self.body, inbox.head(), inbox.size(), &run, trailers, self.limits)
            if used < 0:
                self.fail(FAULT_PROTOCOL, 0)
                return False
            if used == 0 and not self.body.done:
                return False
            self.transport.size_reads()
            inbox.skip(used)
            if self.body.done and trailers is not None and has_fields(trailers):
                peer.on_response_trailers(trailers)
            elif self.body.done or run.len:
                peer.on_response_body(run.ptr, run.len, self.body.done)
        finally:
            drop_head(trailers)
        if self.body.done and self.state != CLIENT_OVER and self.transport is not None:
            self.end_exchange()
        return self.state != CLIENT_OVER

    cdef int settle_inbox(self) except -1:
        cdef Transport transport = self.transport
        if transport.inbox is not None and transport.inbox.size() and not self.held:
            self.make_room()
        transport.release_empty_inbox()
        if transport.read_eof and not self.held:
            return self.ended_by_peer()
        return 0

    # A full inbox stops the transport: a head or a trailer section that does not fit yet must find room, up to its limit.
    cdef int make_room(self) except -1:
        cdef Buffer inbox = self.transport.inbox
        cdef Buffer larger
        if inbox.room():
            return 0
        if inbox.start:
            inbox.compact()
            return 0
        larger = lease(inbox.capacity * 2)
        larger.append(inbox.head(), inbox.size())
        self.transport.inbox = larger
        give_back(inbox)
        return 0

    # FIN ends a body that has no other end; anything else it cuts short.
    cdef int ended_by_peer(self) except -1:
        cdef Peer peer
        if self.state == CLIENT_IDLE:
            return self.close_stale(FAULT_EOF)
        if self.state == CLIENT_BODY and self.body.kind == BODY_UNTIL_CLOSE:
            self.body.done = True
            peer = self.half.peer
            peer.on_response_body(NULL, 0, True)
            return 0 if self.state == CLIENT_OVER or self.transport is None else self.end_exchange()
        return self.fail(FAULT_EOF, 0)

    # ---- ends

    cdef int end_exchange(self) except -1:
        cdef Transport transport = self.transport
        cdef bint reuse = self.reusable and self.half.ended and not transport.read_eof
        if self.held:
            self.held = False
            transport.resume(PAUSE_PEER_FULL)
        self.half.peer = None
        if not reuse or transport.outbox.size:
            # A request that nobody reads to its end is cut off, one that was read ends in order.
            if self.half.ended and not transport.outbox.size:
                transport.close()
            else:
                transport.abort()
            self.let_go()
            return self.tell_closed(FAULT_NONE, 0)
        self.state = CLIENT_IDLE
        transport.read_size = BUFFER_SMALL
        self.idle_since = transport.loop.now
        # Bytes behind a complete response make the connection worthless; the step loop sees them as nobody's.
        if transport.inbox is not None and transport.inbox.size():
            return 0
        return self.owner.on_connection_room(self)

    cdef int fail(self, FaultKind kind, int code) except -1:
        cdef bint refused = self.half.untouched()
        cdef Peer peer
        self.transport.abort()
        peer = self.let_go()
        if peer is not None:
            peer.on_response_reset(kind, 0, refused)
        return self.tell_closed(kind, code)

    cdef int close_stale(self, FaultKind kind) except -1:
        cdef Transport transport = self.transport
        self.let_go()
        transport.close()
        return self.tell_closed(kind, 0)

    cdef int tell_closed(self, FaultKind kind, int code) except -1:
        cdef ConnectionOwner owner = self.owner
        self.owner = None
        return 0 if owner is None else owner.on_connection_closed(self, kind, code)

    cdef int fail_later(self, FaultKind kind) except -1:
        if self.broken == FAULT_NONE:
            self.broken = kind
            # What cannot be written to this endpoint cannot be written to another.
            self.half.refused = kind != FAULT_PROTOCOL and self.half.untouched()
            self.loop.defer(self)
        return 0

    cdef int closed_later(self, FaultKind kind) except -1:
        self.close_due = True
        self.close_kind = kind
        return self.loop.defer(self)

    # Forgets the connection; whose exchange it carried is returned once, so that they can be told after all else is settled.
    cdef Peer let_go(self):
        cdef Peer peer = self.half.peer
        self.state = CLIENT_OVER
        self.reusable = False
        self.held = False
        self.pending = 0
        self.half.peer = None
        self.half.client = None
        return peer


cdef class Http1ClientHalf(Stream):

    cdef int begin(self, Http1Client client, Peer peer) except -1:
        self.client = client
        self.peer = peer
        self.is_upgrade = self.started = self.ended = self.refused = False
        self.method = 0
        self.interims = 0
        return 0

    # Whoever owns the transport may have ended it without telling us.
    cdef bint is_live(self) noexcept:
        return self.peer is not None and self.client.transport is not None

    # Nothing of this request has left us, so the endpoint cannot have acted on it.
    cdef bint untouched(self) noexcept:
        cdef Transport transport = self.client.transport if self.client is not None else None
        return not self.started or transport is None or transport.tx_bytes == self.sent_before

    # ---- the request

    cdef int send_head(self, Head head) except -1:
        cdef Http1Client client = self.client
        cdef Transport transport
        if self.peer is None or self.started:
            return SEND_OK
        self.method = head.method_id
        self.is_upgrade = head.upgrade
        if client.state == CLIENT_OVER or client.transport is None:
            return client.fail_later(FAULT_EOF)
        transport = client.transport
        self.sent_before = transport.tx_bytes
        if head.version == HTTP_2 and not is_writable(head) or not self.choose_framing(head):
            return client.fail_later(FAULT_PROTOCOL)
        self.started = True
        write_request(transport, head, self.framing, head.form == FORM_ABSOLUTE)
        if head.end:
            return self.end_request()
        transport.flush_later()
        return transport.outcome()

    # False: the head contradicts itself.
    cdef bint choose_framing(self, Head head) noexcept:
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

    cdef int send_body(self, const char* p, size_t n, bint end) except -1:
        cdef Http1Client client = self.client
        if not self.is_live() or not self.started or self.ended or client.broken != FAULT_NONE:
            return SEND_OK
        if n:
            self.write_run(p, n)
        if end:
            return self.end_request()
        client.transport.flush_later()
        return client.transport.outcome()

    cdef int write_run(self, const char* p, size_t n) except -1:
        if self.framing == FRAME_CHUNKED:
            return write_chunk(self.client.transport, p, n)
        if <int64_t> n > self.left:
            return self.client.fail_later(FAULT_PROTOCOL)
        self.left -= <int64_t> n
        return self.client.transport.send(p, n)

    cdef int send_trailers(self, Head trailers) except -1:
        cdef Http1Client client = self.client
        if not self.is_live() or not self.started or self.ended or client.broken != FAULT_NONE:
            return SEND_OK
        if self.framing != FRAME_CHUNKED:
            return self.end_request()
        if trailers.version == HTTP_2 and not is_writable(trailers):
            return client.fail_later(FAULT_PROTOCOL)
        self.ended = True
        write_last_chunk(client.transport, trailers)
        client.transport.flush_later()
        return client.transport.outcome()

    cdef int end_request(self) except -1:
        # Fewer bytes than promised must not look like a complete message.
        if self.left or self.client.broken != FAULT_NONE:
            return self.client.fail_later(FAULT_PROTOCOL)
        self.ended = True
        if self.framing == FRAME_CHUNKED:
            write_last_chunk(self.client.transport, None)
        self.client.transport.flush_later()
        return self.client.transport.outcome()

    cdef int reset(self, FaultKind kind, uint32_t code) except -1:
        cdef Http1Client client = self.client
        cdef bint live
        if self.peer is None or client is None:
            return 0
        live = client.state != CLIENT_OVER
        if live and client.transport is not None:
            client.transport.abort()
        client.let_go()
        return client.closed_later(kind) if live else 0

    # ---- the response

    cdef int hold(self) except -1:
        cdef Http1Client client = self.client
        if not self.is_live() or client.held:
            return 0
        client.held = True
        return client.transport.pause(PAUSE_PEER_FULL)

    cdef int unhold(self) except -1:
        cdef Http1Client client = self.client
        if not self.is_live() or not client.held:
            return 0
        client.held = False
        client.transport.resume(PAUSE_PEER_FULL)
        # An end that came meanwhile is not told twice by the transport.
        if client.transport.read_eof and client.transport.inbox is None:
            client.eof_due = True
            client.loop.defer(client)
        return 0

    cdef Transport into_tunnel(self):
        cdef Http1Client client = self.client
        cdef Transport transport
        if not self.is_live():
            raise RuntimeError("the connection is gone: nothing to tunnel through")
        transport = client.transport
        if client.pending:
            transport.inbox.skip(client.pending)
        if client.held:
            transport.resume(PAUSE_PEER_FULL)
        client.let_go()
        transport.detach()
        client.closed_later(FAULT_NONE)
        return transport
