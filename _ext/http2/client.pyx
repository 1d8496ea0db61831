# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""HTTP/2 towards an endpoint: exchanges become streams.

What the endpoint did not process is said to be refused, so that it may go elsewhere.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, uint32_t
from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.fault cimport FAULT_LOCAL, FAULT_NONE, FAULT_PROTOCOL, FaultKind
from linkerd2_py._ext.core.shelf cimport Shelf, shelf_keep, shelf_take
from linkerd2_py._ext.exchange.head cimport METHOD_CONNECT, Head
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.sound cimport settle_trailers
from linkerd2_py._ext.http2.block cimport VERDICT_GOOD
from linkerd2_py._ext.http2.fields cimport request_fields, shared_fields
from linkerd2_py._ext.http2.half cimport FIRST_WINDOW
from linkerd2_py._ext.http2.nghttp2 cimport *
from linkerd2_py._ext.http2.callbacks cimport new_client
from linkerd2_py._ext.http2.sent cimport body_provider
from linkerd2_py._ext.io.transport cimport SEND_OK

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* ob) noexcept

cdef enum:
    MOST_STREAMS = 10000         # where the endpoint sets no limit
    LAST_ID = 0x7FFFFF00         # close to where stream ids run out (RFC 9113 section 5.1.1)
    KEPT_HALVES = 1024

cdef Shelf resting


cdef class Http2Client(Http2Session):
    def __init__(self, ConnectionOwner owner not None, Limits limits not None):
        self.owner = owner
        self.limits = limits
        self.pings_idle = True
        self.first_flight = FIRST_FLIGHT

    cdef nghttp2_session* open_session(self) except NULL:
        return new_client(self)

    cdef int open_settings(self) except -1:
        cdef nghttp2_settings_entry entries[4]
        entries[0].settings_id = NGHTTP2_SETTINGS_ENABLE_PUSH
        entries[0].value = 0
        entries[1].settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE
        entries[1].value = FIRST_WINDOW if self.is_narrow() else self.limits.initial_stream_window
        entries[2].settings_id = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE
        entries[2].value = self.limits.header_list_bytes
        entries[3].settings_id = NGHTTP2_SETTINGS_MAX_FRAME_SIZE
        entries[3].value = self.limits.max_frame_size
        return nghttp2_submit_settings(self.h2, NGHTTP2_FLAG_NONE, entries, 4)

    cdef bint is_narrow(self) noexcept:
        return self.in_pod and self.limits.initial_stream_window > FIRST_WINDOW

    cdef bint pings(self) noexcept:
        return self.keepalive

    cdef bint may_ping(self) noexcept:
        return self.pings_idle or self.table.count > 0

    # ---- streams

    cdef int room(self) noexcept:
        if self.retired or self.over or self.h2 == NULL:
            return 0
        return max(self.allowed() - self.table.count, 0)

    cdef int allowed(self) noexcept:
        if not self.settings_seen or self.h2 == NULL:
            return self.first_flight
        return <int> min(
            nghttp2_session_get_remote_settings(self.h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS),
            <uint32_t> MOST_STREAMS,
        )

    cdef bint is_used_up(self) noexcept:
        return self.settings_seen and self.table.count > 0 and self.room() == 0

    cdef bint was_in_vain(self) noexcept:
        return self.opened and not self.served and self.table.count == 0

    cdef int live(self) noexcept:
        return self.table.count

    cdef Stream open_stream(self, Peer peer):
        cdef Http2Half half = self.enter(self.make_half(), 0)
        half.peer = peer
        self.opened = True
        return half

    cdef Http2Half make_half(self):
        cdef Http2ClientHalf half
        if resting.count:
            half = <Http2ClientHalf> shelf_take(&resting)
            # Whoever still refers to it would command a stream of somebody else.
            if Py_REFCNT(<PyObject*> half) == 1:
                return half
        return Http2ClientHalf.__new__(Http2ClientHalf)

    cdef int on_stream_gone(self) except -1:
        return self.use_up() if self.retired and self.table.count == 0 else 0

    cdef int on_slot(self) except -1:
        cdef ConnectionOwner owner = self.owner
        if self.settings_seen and not self.proven:
            self.prove()
        if self.settings_seen and self.table.count > self.allowed():
            self.take_back()
        if self.retired:
            return self.tell_retired()
        return 0 if owner is None else owner.on_connection_room(self)

    cdef int take_back(self) except -1:
        """Fewer streams are allowed than were opened.

        What libnghttp2 would hold until there is room again is said to be refused.
        """
        cdef Http2Half half
        for half in self.table.halves():
            if half.id and not (half.head_written or half.aborted or half.doomed):
                nghttp2_submit_rst_stream(self.h2, NGHTTP2_FLAG_NONE, half.id, NGHTTP2_CANCEL)
                half.refuse()
        return 0

    cdef int prove(self) except -1:
        """The peer speaks HTTP/2: bodies that were held for fear of having to send them elsewhere go on."""
        cdef Http2Half half
        self.proven = True
        for half in self.table.halves():
            if half.awaits_proof and half.peer is not None and not half.told_full:
                half.awaits_proof = False
                half.report_room(half.peer)
        return 0

    # ---- received

    cdef int on_readable(self) except -1:
        cdef Buffer inbox = self.transport.inbox
        if not self.greeted and inbox is not None and inbox.size():
            # SETTINGS come first, and their length is below 64 KiB: no text begins like that.
            self.greeted = True
            self.foreign = inbox.head()[0] != 0
        return Http2Session.on_readable(self)

    cdef int on_block(self, Http2Half half, Block block, int category, bint end) except -1:
        if block.head.status:
            return self.on_response(half, block, end)
        return self.on_trailers(half, block)

    cdef int on_response(self, Http2Half half, Block block, bint end) except -1:
        cdef Peer peer = half.peer
        self.served = True
        if block.finish_response() != VERDICT_GOOD:
            return self.fail_half(half, FAULT_PROTOCOL, NGHTTP2_ENHANCE_YOUR_CALM)
        if block.head.status < 200:
            half.interims += 1
            if half.interims > self.limits.interim_responses:
                return self.fail_half(half, FAULT_PROTOCOL, NGHTTP2_ENHANCE_YOUR_CALM)
            return 0 if peer is None else peer.on_interim_head(block.head)
        half.in_ended = block.head.end = end
        if peer is not None:
            peer.on_response_head(block.head)
        return half.settle()

    cdef int on_trailers(self, Http2Half half, Block block) except -1:
        cdef Peer peer = half.peer
        if block.oversized:
            return self.fail_half(half, FAULT_PROTOCOL, NGHTTP2_ENHANCE_YOUR_CALM)
        half.in_ended = True
        settle_trailers(block.head)
        block.head.end = True
        if peer is not None:
            peer.on_response_trailers(block.head)
        return half.settle()

    cdef int on_goaway(self, int32_t last_id, uint32_t code) except -1:
        self.retired = True
        self.slot_due = True
        return self.use_up() if self.table.count == 0 else 0

    # ---- ends

    cdef int retire(self) except -1:
        self.retired = self.told_retired = True
        return self.use_up() if self.table.count == 0 else 0

    cdef int use_up(self) except -1:
        """Nothing is left to wait for."""
        if self.over or self.h2 == NULL:
            return 0
        nghttp2_session_terminate_session(self.h2, NGHTTP2_NO_ERROR)
        return self.schedule()

    cdef int tell_retired(self) except -1:
        cdef ConnectionOwner owner = self.owner
        if self.told_retired or owner is None:
            return 0
        self.told_retired = True
        return owner.on_connection_retired(self)

    cdef int on_ended(self, FaultKind kind, int code) except -1:
        cdef ConnectionOwner owner = self.owner
        self.retired = True
        self.owner = None
        if owner is None:
            return 0
        return owner.on_connection_closed(self, FAULT_LOCAL if kind == FAULT_NONE else kind, code)


cdef class Http2ClientHalf(Http2Half):

    cdef bint is_proven(self) noexcept:
        return self.session is None or (<Http2Client> self.session).settings_seen

    cdef int send_head(self, Head head) except -1:
        cdef Http2Client client = <Http2Client> self.session
        cdef nghttp2_data_provider provider
        cdef int count
        cdef int32_t id
        if client is None or self.aborted or self.id:
            return SEND_OK
        if head.method_id == METHOD_CONNECT:
            return self.refuse()
        count = request_fields(head)
        body_provider(&provider, self)
        id = nghttp2_submit_request(client.h2, NULL, shared_fields(), count,
            NULL if head.end else &provider, <void*> self.key)
        if id < 0:
            return self.refuse()
        self.id = id
        self.narrow = client.is_narrow()
        if id > LAST_ID and not client.retired:
            client.retired = client.slot_due = True
        client.schedule()
        if head.end:
            self.end_out()
        return SEND_OK

    cdef int report_body(self, Peer peer, const char* p, size_t n, bint end) except -1:
        return peer.on_response_body(p, n, end)

    cdef int report_reset(self, Peer peer, FaultKind kind, uint32_t code, bint refused) except -1:
        return peer.on_response_reset(kind, code, refused)

    cdef int report_room(self, Peer peer) except -1:
        return peer.on_request_room()

    cdef int rest_again(self) except -1:
        shelf_keep(&resting, self, KEPT_HALVES)
        return 0
