# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""How bytes pass through the session, and how it ends.

Received: transport.inbox -> meter -> libnghttp2 -> callbacks -> peers.
Sent: commands -> libnghttp2 -> pump -> outbox.
Commands only queue and schedule one pump per loop turn, so the frames of many streams share a send.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_STREAM, born, gone
from linkerd2_py._ext.core.fault cimport (
    FAULT_EOF, FAULT_IDLE, FAULT_LOCAL, FAULT_NONE, FAULT_PROTOCOL, FAULT_TIMEOUT,
)
from linkerd2_py._ext.exchange.stream cimport Peer
from linkerd2_py._ext.http2.block cimport drop_block
from linkerd2_py._ext.http2.long_strings cimport free_scan
from linkerd2_py._ext.http2.meter cimport meter_frames, spend
from linkerd2_py._ext.http2.nghttp2 cimport *
from linkerd2_py._ext.io.transport cimport SEND_FULL, Transport

cdef extern from "<arpa/inet.h>":
    uint32_t ntohl(uint32_t) nogil


cdef enum:
    ALARM = 1
    STALL = 2
    LINGER_NS = 1000000000       # how long a closing connection waits for the peer to read our last frames
    MIN_STALL_NS = 10000000
    BACKLOG_MARKS = 4            # transport marks above which not even control frames are written

cdef bytes PING_TEXT = b"l5d-ping"
cdef const uint8_t* PING = <const uint8_t*> <const char*> PING_TEXT


cdef class Http2Session(StreamOwner):
    def __cinit__(self, *args, **kwargs):
        self.table = StreamTable.__new__(StreamTable)
        self.alarm = Timer(self, ALARM)
        self.stall = Timer(self, STALL)

    def __dealloc__(self):
        if self.h2 != NULL:
            nghttp2_session_del(self.h2)
            self.h2 = NULL
        free_scan(self.meter.scan)

    # ---- from the transport

    cdef int on_attached(self) except -1:
        self.loop = self.transport.loop
        self.anomalies.limit = <int> self.limits.anomaly_budget
        self.anomalies.since = self.loop.now
        self.meter.keep = self.limits.header_list_bytes
        self.h2 = self.open_session()
        self.open_settings()
        nghttp2_session_set_local_window_size(self.h2, NGHTTP2_FLAG_NONE, 0,
            <int32_t> self.limits.initial_connection_window)
        self.schedule()
        self.start_alarm()
        if self.transport.inbox is not None:
            self.on_readable()
        if self.transport is not None and self.transport.read_eof:
            self.on_read_eof()
        return 0

    cdef int on_readable(self) except -1:
        cdef Http2Session keep = self          # a callback may detach us from the transport
        cdef Transport transport = self.transport
        cdef Buffer inbox = transport.inbox
        cdef size_t n
        if inbox is None:
            return 0
        n = inbox.size()
        self.heard = True
        try:
            if not self.over:
                keep.parse(<uint8_t*> inbox.head(), n)
        finally:
            # Ends linger, so the inbox is still the transport's; a peer of ours may have aborted it all
            # the same.
            if transport.inbox is inbox:
                inbox.skip(n)
        return 0

    cdef int parse(self, uint8_t* p, size_t n) except -1:
        cdef size_t part
        self.reads += 1
        while n:
            part = meter_frames(&self.meter, p, n)
            if not self.feed(p, part):
                return 0
            p += part
            n -= part
        self.schedule()
        return self.run_due()

    cdef bint feed(self, const uint8_t* p, size_t n) except -1:
        cdef ssize_t taken
        self.busy = True
        taken = nghttp2_session_mem_recv(self.h2, p, n)
        self.leave()
        if self.over:
            return False
        if self.meter.scan != NULL and not self.meter.in_block:
            free_scan(self.meter.scan)
            self.meter.scan = NULL
        # Charged after the chunk, which is bounded: a burst of honest calls earns in it what its window
        # updates cost.
        if spend(&self.anomalies, self.meter.cheap, self.loop.now):
            self.kill(NGHTTP2_ENHANCE_YOUR_CALM)
        elif taken < 0:
            self.kill(self.kill_code or kill_code_of(<int> taken))
        elif self.meter.late:
            self.on_late_body(<int32_t> ntohl(self.meter.late))
        return not self.over

    cdef int on_read_eof(self) except -1:
        if self.over:
            return self.transport.close()
        return self.end(FAULT_EOF, 0)

    cdef int on_drained(self) except -1:
        self.overdue = 0
        if self.over:
            return 0
        return self.pump()

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        self.transport_dead = True
        if self.loop is None:
            # It was dead before we were attached: there are no streams and no timers.
            self.over = True
            return self.on_ended(kind, code)
        if self.over:
            return self.loop.disarm(self.alarm)
        return self.end(kind, code)

    # ---- sending

    cdef int schedule(self) except -1:
        if not self.over:
            self.loop.defer(self)
        return 0

    cdef int on_deferred(self) except -1:
        if not self.over:
            return self.pump()
        if self.transport is not None and self.transport.read_eof:
            return self.transport.close()
        return 0

    cdef int pump(self) except -1:
        cdef Http2Session keep = self
        cdef Transport transport = self.transport
        cdef int more
        if self.busy or transport is None:
            return 0
        self.busy = True
        while True:
            more = keep.pull()
            if self.over or more < 0 or self.transport is None:
                break
            if transport.flush() == SEND_FULL or not more:
                break
            self.overdue = 0
        self.leave()
        if self.over or self.transport is None:
            return 0
        if more < 0:
            return self.kill(self.kill_code or NGHTTP2_INTERNAL_ERROR)
        if transport.outbox.size <= transport.high_mark:
            self.overdue = 0
        if not nghttp2_session_want_read(self.h2) and not nghttp2_session_want_write(self.h2):
            return self.end(FAULT_PROTOCOL if self.broken else FAULT_NONE, 0)
        self.watch_stall()
        return self.run_due()

    cdef int pull(self) except -2:
        """Frames into the outbox: 0 no more, 1 stopped by the mark, -1 the session is broken."""
        cdef Transport transport = self.transport
        cdef const uint8_t* wire = NULL
        cdef ssize_t n
        while True:
            if transport.outbox.size > transport.high_mark:
                # Body waits; replies, resets and heads go on, within a bound.
                if (nghttp2_session_get_outbound_queue_size(self.h2) == 0
                        or transport.outbox.size >= BACKLOG_MARKS * transport.high_mark):
                    return 1
                self.overdue += 1
                if self.overdue > self.limits.control_queue:
                    self.kill_code = NGHTTP2_ENHANCE_YOUR_CALM
                    return -1
            n = nghttp2_session_mem_send(self.h2, &wire)
            if n < 0 or self.failure is not None:
                return -1
            if n == 0 or self.over or self.transport is None:
                return 0
            transport.send(<const char*> wire, n)

    cdef int run_due(self) except -1:
        """What peers and the owner are told once libnghttp2 has returned."""
        cdef list due = self.due
        cdef Http2Half half
        if due is not None:
            self.due = None
            for half in due:
                if half.session is self and not half.aborted:
                    self.pay(half)
        if self.slot_due and not self.over:
            self.slot_due = False
            return self.on_slot()
        return 0

    cdef int owe(self, Http2Half half) except -1:
        if self.due is None:
            self.due = []
        self.due.append(half)
        return 0

    cdef int pay(self, Http2Half half) except -1:
        cdef Peer peer = half.peer
        if half.doomed:
            half.peer = None
            half.aborted = True
            if peer is not None:
                half.report_reset(peer, FAULT_LOCAL, NGHTTP2_REFUSED_STREAM, True)
            return self.forget(half)
        return 0 if peer is None else half.report_room(peer)

    cdef int leave(self) except -1:
        """After a libnghttp2 call: what could not be done inside it."""
        cdef object failure = self.failure
        self.busy = False
        if self.over:
            self.delete_session()
        if failure is None:
            return 0
        self.failure = None
        self.kill(NGHTTP2_INTERNAL_ERROR)
        raise failure

    # ---- streams

    cdef Http2Half enter(self, Http2Half half, int32_t id):
        self.table.add(half)
        half.renew()
        half.session = self
        half.id = id
        if L5D_DEBUG:
            born(LIVE_STREAM)
        return half

    cdef int forget(self, Http2Half half) except -1:
        if half.session is not self:
            return 0
        if L5D_DEBUG:
            gone(LIVE_STREAM)
        self.table.remove(half)
        half.drop_queue()
        half.release_head()
        half.peer = None
        half.session = None
        if self.block_half is half:
            # Its header block was given up half-way.
            self.block_half = None
            drop_block(self.block)
            self.block = None
        self.slot_due = True
        half.rest_again()
        return self.on_stream_gone()

    cdef int fail_half(self, Http2Half half, FaultKind kind, uint32_t code) except -1:
        """Our verdict on one stream: reset towards the other side, reported to the peer at once."""
        cdef Peer peer = half.peer
        nghttp2_submit_rst_stream(self.h2, NGHTTP2_FLAG_NONE, half.id, code)
        half.peer = None
        half.aborted = True
        half.drop_queue()
        self.schedule()
        if peer is not None:
            half.report_reset(peer, kind, code, False)
        half.release_head()
        return 0

    cdef int close_half(self, Http2Half half, uint32_t code) except -1:
        cdef Peer peer = half.peer
        cdef bint refused = code == NGHTTP2_REFUSED_STREAM or not half.head_written
        half.peer = None
        half.aborted = True
        if peer is not None:
            half.report_reset(peer, FAULT_PROTOCOL, code, refused)
        return self.forget(half)

    # ---- ends

    cdef int shut(self) except -1:
        cdef Transport transport = self.transport
        self.transport_dead = True
        if self.loop is not None:
            self.end(FAULT_LOCAL, 0)
        return 0 if transport is None else transport.abort()

    cdef int kill(self, uint32_t code) except -1:
        """The peer broke the protocol or a budget: GOAWAY, and the end.

        It names the true last stream and is written beside libnghttp2.
        """
        cdef uint8_t wire[17]
        cdef int32_t last = 0
        if self.over:
            return 0
        if self.calmed:
            last = self.calmed_at
        elif self.h2 != NULL:
            last = nghttp2_session_get_last_proc_stream_id(self.h2)
        wire[0] = wire[1] = 0
        wire[2] = 8
        wire[3] = NGHTTP2_GOAWAY
        wire[4] = wire[5] = wire[6] = wire[7] = wire[8] = 0
        put_32(wire + 9, <uint32_t> last)
        put_32(wire + 13, code)
        if not self.transport_dead and self.transport is not None:
            self.transport.send(<const char*> wire, sizeof(wire))
        return self.end(FAULT_PROTOCOL, 0)

    cdef int end(self, FaultKind kind, int code) except -1:
        """No more parsing, no more frames.

        Every stream learns, the owner learns, the transport closes behind what is unsent.
        """
        if self.over:
            return 0
        self.over = True
        self.loop.disarm(self.alarm)
        self.loop.disarm(self.stall)
        self.report_end(kind)
        drop_block(self.block)
        self.block = None
        self.block_half = None
        self.due = None
        if not self.busy:
            self.delete_session()
        if not self.transport_dead:
            self.linger()
        return self.on_ended(kind, code)

    cdef int report_end(self, FaultKind kind) except -1:
        cdef Http2Half half
        cdef Peer peer
        for half in self.table.halves():
            peer = half.peer
            half.peer = None
            half.aborted = True
            if peer is not None:
                half.report_reset(
                    peer, FAULT_LOCAL if kind == FAULT_NONE else kind,
                    NGHTTP2_HTTP_1_1_REQUIRED if self.foreign else 0, self.foreign or not half.head_written,
                )
            self.forget(half)
        return 0

    cdef int linger(self) except -1:
        # Closing with unread bytes would make the kernel reset the connection and destroy our GOAWAY on
        # its way.
        cdef Transport transport = self.transport
        if transport is None:
            return 0
        transport.flush()
        transport.shutdown_write()
        if transport.read_eof:
            return self.loop.defer(self)
        return self.loop.arm(self.alarm, self, LINGER_NS)

    cdef int delete_session(self) except -1:
        if self.h2 != NULL:
            nghttp2_session_del(self.h2)
            self.h2 = NULL
        return 0

    # ---- timers

    cdef int start_alarm(self) except -1:
        self.heard = False
        if not self.settings_seen and self.limits.head_timeout_ns:
            return self.loop.arm(self.alarm, self, self.limits.head_timeout_ns)
        if self.pings() and self.limits.ping_interval_ns:
            return self.loop.arm(self.alarm, self, self.limits.ping_interval_ns)
        return self.loop.disarm(self.alarm)

    cdef int on_timer(self, Timer timer) except -1:
        if timer is self.stall:
            return self.check_stall()
        if self.over:
            return self.transport.close() if self.transport is not None and not self.transport_dead else 0
        return self.ring()

    cdef int ring(self) except -1:
        cdef bint held
        if not self.settings_seen:
            return self.kill(NGHTTP2_PROTOCOL_ERROR)
        if self.heard:
            self.awaiting_pong = False
            return self.start_alarm()
        if self.awaiting_pong:
            # A slow reader has not been asked yet: the ping stands behind what it does not take. Once it has
            # taken that, it has the whole time to answer.
            held = self.ping_held
            self.ping_held = self.transport.is_held_by_peer()
            if held or self.ping_held:
                return self.loop.arm(self.alarm, self, self.limits.ping_timeout_ns)
            return self.end(FAULT_TIMEOUT, 0)
        if not self.may_ping():
            return self.start_alarm()
        self.awaiting_pong = True
        self.ping_held = False
        nghttp2_submit_ping(self.h2, NGHTTP2_FLAG_NONE, PING)
        self.schedule()
        return self.loop.arm(self.alarm, self, self.limits.ping_timeout_ns)

    cdef int watch_stall(self) except -1:
        cdef Transport transport = self.transport
        if self.stall.armed or self.limits.stalled_send_ns == 0:
            return 0
        if self.queued == 0 and transport.outbox.size == 0:
            return 0
        self.sent_mark = transport.tx_bytes
        self.sent_at = self.loop.now
        return self.arm_stall()

    cdef int arm_stall(self) except -1:
        cdef int64_t quarter = self.limits.stalled_send_ns // 4
        return self.loop.arm(self.stall, self, max(quarter, <int64_t> MIN_STALL_NS))

    cdef int check_stall(self) except -1:
        cdef int64_t oldest = self.loop.now - self.limits.stalled_send_ns
        cdef Transport transport = self.transport
        cdef Http2Half half
        if self.over or transport is None:
            return 0
        if transport.tx_bytes != self.sent_mark or transport.outbox.size == 0:
            self.sent_mark = transport.tx_bytes
            self.sent_at = self.loop.now
        elif self.sent_at <= oldest:
            self.transport_dead = True
            self.end(FAULT_IDLE, 0)
            return transport.abort()
        for half in self.table.halves():
            if half.queue.size and not half.aborted and half.progress_at <= oldest:
                self.on_stalled(half)
        if self.queued or transport.outbox.size:
            return self.arm_stall()
        return 0

    # ---- what the server and the client fill in

    cdef nghttp2_session* open_session(self) except NULL:
        raise NotImplementedError("Http2Session.open_session")

    cdef int open_settings(self) except -1:
        raise NotImplementedError("Http2Session.open_settings")

    cdef Http2Half make_half(self):
        raise NotImplementedError("Http2Session.make_half")

    cdef int on_block(self, Http2Half half, Block block, int category, bint end) except -1:
        raise NotImplementedError("Http2Session.on_block")

    cdef int on_client_head(self, int32_t id) except -1:
        return 0

    cdef int on_late_body(self, int32_t id) except -1:
        return 0

    cdef int on_reset(self, Http2Half half) except -1:
        return 0

    cdef int on_reset_written(self, int32_t id, Http2Half half) except -1:
        return 0

    cdef int on_end_written(self, Http2Half half) except -1:
        return 0

    cdef int on_goaway(self, int32_t last_id, uint32_t code) except -1:
        return 0

    cdef int on_pong(self, const uint8_t* opaque_bytes) except -1:
        return 0

    cdef int on_stream_gone(self) except -1:
        return 0

    cdef int on_slot(self) except -1:
        return 0

    cdef int on_ended(self, FaultKind kind, int code) except -1:
        return 0

    cdef int on_stalled(self, Http2Half half) except -1:
        return 0

    cdef bint pings(self) noexcept:
        return True

    cdef bint may_ping(self) noexcept:
        return True


cdef inline void put_32(uint8_t* at, uint32_t number) noexcept:
    at[0] = <uint8_t> (number >> 24)
    at[1] = <uint8_t> (number >> 16)
    at[2] = <uint8_t> (number >> 8)
    at[3] = <uint8_t> number


cdef uint32_t kill_code_of(int error) noexcept:
    if error == NGHTTP2_ERR_FLOODED or error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        return NGHTTP2_ENHANCE_YOUR_CALM
    if error == NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        return NGHTTP2_PROTOCOL_ERROR
    return NGHTTP2_INTERNAL_ERROR
