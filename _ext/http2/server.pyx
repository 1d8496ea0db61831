# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""HTTP/2 towards a client: requests become exchanges, responses leave in the order their bytes can go."""

from cpython.ref cimport PyObject
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcmp
from linkerd2_py._ext.core.fault cimport FAULT_IDLE, FAULT_PROTOCOL, FaultKind
from linkerd2_py._ext.core.shelf cimport Shelf, shelf_keep, shelf_take
from linkerd2_py._ext.exchange.head cimport drop_head, take_head
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.error_response cimport head_too_large, send_error_response
from linkerd2_py._ext.exchange.stream cimport Peer
from linkerd2_py._ext.exchange.sound cimport settle_trailers
from linkerd2_py._ext.http2.block cimport VERDICT_CONNECT, VERDICT_MALFORMED, VERDICT_OVERSIZED, Verdict
from linkerd2_py._ext.http2.fields cimport response_fields, shared_fields
from linkerd2_py._ext.http2.meter cimport PREFACE_BYTES, draw, open_bucket, spend
from linkerd2_py._ext.http2.nghttp2 cimport *
from linkerd2_py._ext.http2.callbacks cimport new_server
from linkerd2_py._ext.http2.sent cimport body_provider
from linkerd2_py._ext.io.transport cimport SEND_OK

cdef extern from "<arpa/inet.h>":
    uint32_t ntohl(uint32_t) nogil

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* ob) noexcept

cdef enum:
    DRAIN = 3
    PROVEN_TRUST = 32            # times the resets that an unknown client may cost us
    YOUNG_NS = 10000000          # a request given up sooner than any sensible deadline
    # A client that does not answer our ping has seen the notice by then, or never will.
    DRAIN_NS = 1000000000
    KEPT_HALVES = 1024
    WORTH_A_LOOK = 4096          # queued bytes below which the client's windows are not asked for

cdef bytes DRAIN_TEXT = b"l5d-done"
cdef const uint8_t* DRAIN_PING = <const uint8_t*> <const char*> DRAIN_TEXT

cdef Shelf resting


cdef class Http2Server(Http2Session):
    def __init__(self, Dispatch dispatch not None, Limits limits not None, *, bint proven=False):
        cdef int64_t trust = PROVEN_TRUST if proven else 1
        self.dispatch = dispatch
        self.limits = limits
        self.proven = proven
        open_bucket(&self.resets, trust * limits.reset_burst, trust * limits.reset_rate)
        self.serves = True
        self.meter.skip = PREFACE_BYTES

    cdef nghttp2_session* open_session(self) except NULL:
        return new_server(self)

    cdef int open_settings(self) except -1:
        cdef nghttp2_settings_entry entries[4]
        entries[0].settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS
        entries[0].value = self.limits.max_concurrent_streams
        entries[1].settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE
        entries[1].value = self.limits.initial_stream_window
        entries[2].settings_id = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE
        entries[2].value = self.limits.header_list_bytes
        entries[3].settings_id = NGHTTP2_SETTINGS_MAX_FRAME_SIZE
        entries[3].value = self.limits.max_frame_size
        return nghttp2_submit_settings(self.h2, NGHTTP2_FLAG_NONE, entries, 4)

    cdef Http2Half make_half(self):
        cdef Http2ServerHalf half
        if resting.count:
            half = <Http2ServerHalf> shelf_take(&resting)
            # Whoever still refers to it would command a stream of somebody else.
            if Py_REFCNT(<PyObject*> half) == 1:
                return half
        return Http2ServerHalf.__new__(Http2ServerHalf)

    # ---- received

    cdef int on_block(self, Http2Half half, Block block, int category, bint end) except -1:
        if category == NGHTTP2_HCAT_REQUEST:
            return self.on_request(half, block, end)
        return self.on_trailers(half, block)

    cdef int on_request(self, Http2Half half, Block block, bint end) except -1:
        cdef Verdict verdict = block.finish_request()
        cdef Peer peer
        half.in_ended = end
        if verdict == VERDICT_OVERSIZED:
            block.read_known()
            return send_error_response(half, head_too_large(), block.head.is_grpc, False)
        if verdict == VERDICT_CONNECT:
            return self.answer(half, 501)
        if verdict == VERDICT_MALFORMED:
            return self.fail_half(half, FAULT_PROTOCOL, NGHTTP2_PROTOCOL_ERROR)
        block.head.end = end
        half.block = block
        peer = self.dispatch.new_exchange(half)
        half.peer = peer
        return peer.on_request_head(half, block.head)

    cdef int on_trailers(self, Http2Half half, Block block) except -1:
        cdef Peer peer = half.peer
        if block.oversized:
            return self.fail_half(half, FAULT_PROTOCOL, NGHTTP2_ENHANCE_YOUR_CALM)
        half.in_ended = True
        settle_trailers(block.head)
        block.head.end = True
        if peer is not None:
            peer.on_request_trailers(block.head)
        return half.settle()

    cdef int answer(self, Http2Half half, int status) except -1:
        """A response of the codec's own, without an exchange."""
        cdef Head head = take_head()
        try:
            head.status = status
            head.end = True
            head.add("content-length", 14, "0", 1, 0, 0)
            return (<Http2ServerHalf> half).submit(head)
        finally:
            drop_head(head)

    # ---- what a client's resets cost (docs/flow-control.md), and frames for streams that are gone

    cdef int on_client_head(self, int32_t id) except -1:
        """No stream begins below the last, and nothing follows END_STREAM or RST_STREAM (RFC 9113 5.1)."""
        if id > self.opened:
            return self.open_next(id)
        if nghttp2_session_get_stream_user_data(self.h2, id) != NULL or id <= self.forgiven or not id & 1:
            return 0
        if id == self.opened and not self.took_last():
            return 0
        if self.skipped_from <= id <= self.skipped_to:
            return self.kill(NGHTTP2_PROTOCOL_ERROR)
        if id == <int32_t> ntohl(self.meter.ended) and not self.meter.reset:
            return self.kill(NGHTTP2_STREAM_CLOSED)
        return self.refuse_late(id)

    cdef int on_late_body(self, int32_t id) except -1:
        return 0 if nghttp2_session_get_stream_user_data(self.h2, id) != NULL else self.refuse_late(id)

    cdef bint took_last(self) noexcept:
        return nghttp2_session_get_last_proc_stream_id(self.h2) == self.opened

    cdef int open_next(self, int32_t id) except -1:
        if not self.took_last():
            self.forgiven = max(self.forgiven, self.opened)
        if id > self.opened + 2:
            self.skipped_from = self.opened + 2 if self.opened else 1
            self.skipped_to = id - 2
        self.opened = id
        return self.charge(1) if self.calmed else 0

    cdef int refuse_late(self, int32_t id) except -1:
        if spend(&self.anomalies, 1, self.loop.now):
            return self.kill(NGHTTP2_ENHANCE_YOUR_CALM)
        nghttp2_submit_rst_stream(self.h2, NGHTTP2_FLAG_NONE, id, NGHTTP2_STREAM_CLOSED)
        return 0

    cdef int on_reset(self, Http2Half half) except -1:
        if half is None:
            return self.kill(NGHTTP2_ENHANCE_YOUR_CALM) if spend(&self.anomalies, 1, self.loop.now) else 0
        if self.calmed:
            return 0
        if half.read == self.reads and self.limits.pending_accept_resets:
            self.taken_back = self.taken_back + 1 if self.taken_back_in == self.reads else 1
            self.taken_back_in = self.reads
            if self.taken_back > self.limits.pending_accept_resets:
                return self.calm()
        return self.charge(self.cost_of(half))

    cdef int on_reset_written(self, int32_t id, Http2Half half) except -1:
        """One that no peer of ours asked for was provoked by the client: it costs what its own would."""
        self.forgiven = max(self.forgiven, id)
        if self.calmed or (half is not None and half.excused):
            return 0
        return self.charge(1 if half is None else max(self.cost_of(half), <uint32_t> 1))

    cdef uint32_t cost_of(self, Http2Half half) noexcept:
        """Nothing for a request that had its time.

        A whole burst pays for as many that had begun as the client may have open.
        """
        if half.read == self.reads:
            return 1
        if self.loop.now - half.opened_at >= YOUNG_NS:
            return 0
        return self.limits.reset_burst // self.limits.max_concurrent_streams + 1

    cdef int charge(self, uint32_t count) except -1:
        return self.calm() if draw(&self.resets, count, self.loop.now) else 0

    cdef int calm(self) except -1:
        """The client is sent away: what it has begun finishes, nothing new begins.

        Whoever goes on nevertheless is cut off after another burst.
        """
        if self.calmed:
            return self.kill(NGHTTP2_ENHANCE_YOUR_CALM)
        self.calmed = True
        self.forgiven = INT32_MAX
        self.resets.whole_at = 0
        self.calmed_at = nghttp2_session_get_last_proc_stream_id(self.h2)
        nghttp2_submit_goaway(self.h2, NGHTTP2_FLAG_NONE, self.calmed_at, NGHTTP2_ENHANCE_YOUR_CALM, NULL, 0)
        return self.schedule()

    # ---- written

    cdef int on_end_written(self, Http2Half half) except -1:
        # The rest of the request is of no use any more: say so, or the client sends it for nothing (RFC
        # 9113 section 8.1).
        if half.in_ended or half.aborted:
            return 0
        half.aborted = half.excused = True
        nghttp2_submit_rst_stream(self.h2, NGHTTP2_FLAG_NONE, half.id, NGHTTP2_NO_ERROR)
        return 0

    cdef int on_stalled(self, Http2Half half) except -1:
        return self.fail_half(half, FAULT_IDLE, NGHTTP2_CANCEL)

    # ---- ends

    cdef int drain(self) except -1:
        if self.over or self.draining:
            return 0
        self.draining = True
        if self.h2 == NULL:
            return 0
        nghttp2_submit_shutdown_notice(self.h2)
        nghttp2_submit_ping(self.h2, NGHTTP2_FLAG_NONE, DRAIN_PING)
        self.drain_timer = Timer(self, DRAIN)
        self.loop.arm(self.drain_timer, self, DRAIN_NS)
        return self.schedule()

    cdef int on_pong(self, const uint8_t* opaque_bytes) except -1:
        if self.draining and memcmp(opaque_bytes, DRAIN_PING, 8) == 0:
            return self.finish_drain()
        return 0

    cdef int on_timer(self, Timer timer) except -1:
        if timer is self.drain_timer:
            return self.finish_drain()
        return Http2Session.on_timer(self, timer)

    cdef int finish_drain(self) except -1:
        """Names the true last stream: after a round trip all that raced with the notice are known."""
        if self.over or self.drained:
            return 0
        self.drained = True
        self.forgiven = INT32_MAX
        self.loop.disarm(self.drain_timer)
        nghttp2_submit_goaway(self.h2, NGHTTP2_FLAG_NONE,
            nghttp2_session_get_last_proc_stream_id(self.h2), NGHTTP2_NO_ERROR, NULL, 0)
        return self.schedule()

    cdef int on_ended(self, FaultKind kind, int code) except -1:
        if self.drain_timer is not None:
            self.loop.disarm(self.drain_timer)
        return 0


cdef class Http2ServerHalf(Http2Half):

    cdef int send_head(self, Head head) except -1:
        if self.session is None or self.aborted or self.out_ended:
            return SEND_OK
        return self.submit(head)

    cdef int submit(self, Head head) except -1:
        cdef nghttp2_data_provider provider
        cdef int count = response_fields(head)
        body_provider(&provider, self)
        nghttp2_submit_response(self.session.h2, self.id, shared_fields(), count,
            NULL if head.end else &provider)
        self.session.schedule()
        if head.end:
            self.end_out()
        return SEND_OK

    cdef int send_interim(self, Head head) except -1:
        cdef int count
        if self.session is None or self.aborted or self.out_ended:
            return SEND_OK
        count = response_fields(head)
        nghttp2_submit_headers(self.session.h2, NGHTTP2_FLAG_NONE, self.id, NULL, shared_fields(),
            count, NULL)
        return self.session.schedule()

    cdef int reset(self, FaultKind kind, uint32_t code) except -1:
        # A whole response stays whole: it is sent to its end, and the reset that follows it by itself
        # says the same.
        if code == NGHTTP2_NO_ERROR and self.out_ended:
            self.peer = None
            return 0
        return Http2Half.reset(self, kind, code)

    cdef int settle(self) except -1:
        # Once the response is queued to its end nothing of the request matters any more.
        if self.out_ended:
            self.peer = None
        return 0

    cdef bint is_full(self, size_t leaving) noexcept:
        # What the client's windows do not let go would only be held: whoever opens none must not
        # make a whole queue wait for each stream.
        cdef nghttp2_session* h2 = self.session.h2
        if Http2Half.is_full(self, leaving):
            return True
        if self.queue.size < WORTH_A_LOOK:
            return False
        if <ssize_t> (self.queue.size + leaving) > nghttp2_session_get_stream_remote_window_size(h2, self.id):
            return True
        return <ssize_t> (self.session.queued + leaving) > nghttp2_session_get_remote_window_size(h2)

    cdef int report_body(self, Peer peer, const char* p, size_t n, bint end) except -1:
        return peer.on_request_body(p, n, end)

    cdef int report_reset(self, Peer peer, FaultKind kind, uint32_t code, bint refused) except -1:
        return peer.on_request_reset(kind, code)

    cdef int report_room(self, Peer peer) except -1:
        return peer.on_response_room()

    cdef int rest_again(self) except -1:
        shelf_keep(&resting, self, KEPT_HALVES)
        return 0
