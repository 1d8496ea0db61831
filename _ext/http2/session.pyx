# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The shared HTTP/2 session. Received: transport.inbox -> meter -> libnghttp2 -> callbacks -> peers.
Sent: commands -> libnghttp2 -> pump -> outbox.

Commands only queue and schedule one pump per loop turn, so the frames of many streams share a send.
"""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdlib cimport free, realloc
from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_STREAM, born, check, gone
from linkerd2_py._ext.core.fault cimport (
    FAULT_EOF, FAULT_IDLE, FAULT_LOCAL, FAULT_NONE, FAULT_PROTOCOL, FAULT_TIMEOUT,
)
from linkerd2_py._ext.exchange.head cimport HTTP_2, Head
from linkerd2_py._ext.http2.fields cimport drop_block, pack_fields, trailer_fields
from linkerd2_py._ext.http2.long_strings cimport free_scan
from linkerd2_py._ext.http2.meter cimport meter_frames, spend
from linkerd2_py._ext.http2.nghttp2 cimport *
from linkerd2_py._ext.io.transport cimport SEND_FULL, SEND_OK, Transport

cdef extern from "<arpa/inet.h>":
    uint32_t ntohl(uint32_t) nogil


cdef extern from *:
    """
    /* items[at] = item, where `at` is below the size. */
    static inline void l5d_put_item(PyObject *items, Py_ssize_t at, PyObject *item)
    {
        PyObject *old = PyList_GET_ITEM(items, at);
        Py_INCREF(item);
        PyList_SET_ITEM(items, at, item);
        Py_DECREF(old);
    }
    """
    void put_item "l5d_put_item"(list items, Py_ssize_t at, object item) noexcept


cdef enum:
    ALARM = 1
    STALL = 2
    LINGER_NS = 1000000000       # how long a closing connection waits for the peer to read our last frames
    MIN_STALL_NS = 10000000
    BACKLOG_MARKS = 4            # transport marks above which not even control frames are written

cdef bytes PING_TEXT = b"l5d-ping"
cdef const uint8_t* PING = <const uint8_t*> <const char*> PING_TEXT


# ---- one stream

cdef class Http2Half(Stream):
    def __cinit__(self):
        self.version = HTTP_2
        self.queue = ByteQueue.__new__(ByteQueue)

    def __dealloc__(self):
        free(self.trailers)

    cdef uint64_t key(self) noexcept:
        return (<uint64_t> self.generation << 32) | (self.slot + 1)

    cdef int send_body(self, const char* p, size_t n, bint end) except -1:
        if self.session is None or self.aborted or self.out_ended:
            return SEND_OK
        if n:
            self.enqueue(p, n)
        if end:
            self.end_out()
        self.wake()
        if not self.is_full(0):
            return SEND_OK
        self.told_full = True
        return SEND_FULL

    cdef bint is_full(self, size_t leaving) noexcept:
        # A client that opens no window must not make every stream hold as much as one may.
        return self.queue.size >= QUEUE_HIGH or (self.queue.size > 0 and self.session.queued >= SHARED_HIGH)

    cdef int send_trailers(self, Head trailers) except -1:
        cdef int count
        if self.session is None or self.aborted or self.out_ended:
            return SEND_OK
        count = trailer_fields(trailers)
        if count:
            self.trailers = pack_fields(count)
            self.trailer_count = count
        self.end_out()
        self.wake()
        return SEND_OK

    cdef int reset(self, FaultKind kind, uint32_t code) except -1:
        cdef Http2Session session = self.session
        self.peer = None
        if session is None or self.aborted:
            return 0
        self.drop_queue()
        drop_block(self.block)
        self.block = None
        if self.id == 0:
            return session.forget(self)
        self.aborted = self.excused = True
        nghttp2_submit_rst_stream(session.h2, NGHTTP2_FLAG_NONE, self.id, code)
        return session.schedule()

    cdef int hold(self) except -1:
        self.held = True
        return 0

    cdef int unhold(self) except -1:
        cdef Http2Session session = self.session
        cdef size_t credit = self.withheld
        if not self.held:
            return 0
        self.held = False
        if session is None or session.over or credit == 0:
            return 0
        self.withheld = 0
        nghttp2_session_consume_stream(session.h2, self.id, credit)
        return session.schedule()

    cdef int release_head(self) except -1:
        cdef Block block = self.block
        self.block = None
        return drop_block(block)

    cdef int end_out(self) except -1:
        self.out_ended = True
        return self.settle()

    cdef int settle(self) except -1:
        if self.in_ended and self.out_ended:
            self.peer = None
        return 0

    cdef int wake(self) except -1:
        if self.deferred:
            self.deferred = False
            nghttp2_session_resume_data(self.session.h2, self.id)
        return self.session.schedule()

    # ---- the queue of body bytes

    cdef int enqueue(self, const char* p, size_t n) except -1:
        if self.queue.size == 0:
            self.progress_at = self.session.loop.now
        self.queue.put(p, n)
        self.session.queued += n
        return 0

    cdef int dequeue(self, char* to, size_t n) except -1:
        self.queue.take(to, n)
        self.session.queued -= n
        self.progress_at = self.session.loop.now
        return 0

    cdef int drop_queue(self) except -1:
        free(self.trailers)
        self.trailers = NULL
        self.trailer_count = 0
        if self.queue.size and self.session is not None:
            self.session.queued -= self.queue.size
        return self.queue.clear()

    cdef int refuse(self) except -1:
        self.doomed = True
        self.session.owe(self)
        return self.session.schedule()

    cdef int report_body(self, Peer peer, const char* p, size_t n, bint end) except -1:
        raise NotImplementedError("Http2Half.report_body")

    cdef int report_reset(self, Peer peer, FaultKind kind, uint32_t code, bint refused) except -1:
        raise NotImplementedError("Http2Half.report_reset")

    cdef int report_room(self, Peer peer) except -1:
        raise NotImplementedError("Http2Half.report_room")

    cdef int rest_again(self) except -1:
        return 0


cdef void refresh(Http2Half half) noexcept:
    """A recycled half as new."""
    half.id = 0
    half.withheld = 0
    half.interims = 0
    half.awaits_proof = half.narrow = False
    half.doomed = half.held = half.deferred = half.told_full = False
    half.in_ended = half.out_ended = half.out_sent = False
    half.head_written = half.aborted = half.excused = False


# ---- the session

cdef class Http2Session(Session):
    def __cinit__(self, *args, **kwargs):
        self.table = []
        self.alarm = Timer(self, ALARM)
        self.stall = Timer(self, STALL)

    def __dealloc__(self):
        if self.h2 != NULL:
            nghttp2_session_del(self.h2)
            self.h2 = NULL
        free(self.free_slots)
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
        cdef uint32_t slot
        if self.free_count == 0:
            self.add_slot()
        self.free_count -= 1
        slot = self.free_slots[self.free_count]
        put_item(self.table, slot, half)
        refresh(half)
        self.generation += 1
        half.session = self
        half.slot = slot
        half.generation = self.generation
        half.id = id
        self.streams += 1
        if L5D_DEBUG:
            born(LIVE_STREAM)
        return half

    cdef int add_slot(self) except -1:
        """One more slot, free; the stack has room for every slot there is, so that giving one back
        cannot fail."""
        cdef uint32_t slot = <uint32_t> PyList_GET_SIZE(self.table)
        cdef uint32_t room = self.free_room * 2 if self.free_room else 16
        cdef uint32_t* grown
        if slot == self.free_room:
            grown = <uint32_t*> realloc(self.free_slots, room * sizeof(uint32_t))
            if grown == NULL:
                raise MemoryError
            self.free_slots = grown
            self.free_room = room
        self.table.append(None)
        self.free_slots[self.free_count] = slot
        self.free_count += 1
        return 0

    cdef int forget(self, Http2Half half) except -1:
        if half.session is not self:
            return 0
        if L5D_DEBUG:
            check(self.table[half.slot] is half, b"a stream was in another's slot")
            gone(LIVE_STREAM)
        put_item(self.table, half.slot, None)
        self.free_slots[self.free_count] = half.slot
        self.free_count += 1
        self.streams -= 1
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

    cdef Http2Half at(self, uint64_t key):
        # A cast: a mask of this size would be a Python int.
        cdef uint32_t slot = <uint32_t> key
        cdef Http2Half half
        if slot == 0 or slot > <uint32_t> PyList_GET_SIZE(self.table):
            return None
        half = <Http2Half> PyList_GET_ITEM(self.table, slot - 1)
        if half is None or half.generation != <uint32_t> (key >> 32):
            return None
        return half

    cdef Http2Half half_of(self, int32_t id):
        return self.at(<uint64_t> nghttp2_session_get_stream_user_data(self.h2, id))

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
        """The peer broke the protocol or a budget: GOAWAY with the true last stream, written beside
        libnghttp2, and the end."""
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
        """No more parsing, no more frames: every stream learns, the owner learns, the transport closes
        behind what is unsent."""
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
        for half in list(self.table):
            if half is None:
                continue
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
        if not self.settings_seen:
            return self.kill(NGHTTP2_PROTOCOL_ERROR)
        if self.heard:
            self.awaiting_pong = False
            return self.start_alarm()
        if self.awaiting_pong:
            return self.end(FAULT_TIMEOUT, 0)
        self.awaiting_pong = True
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
        for half in list(self.table):
            if half is not None and half.queue.size and not half.aborted and half.progress_at <= oldest:
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
