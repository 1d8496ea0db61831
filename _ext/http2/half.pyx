# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Commands of an exchange to one stream.

They are queued here or given to libnghttp2 at once, and written by the session's pump.
"""

from libc.stdlib cimport free
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.exchange.head cimport HTTP_2, Head
from linkerd2_py._ext.http2.block cimport drop_block
from linkerd2_py._ext.http2.fields cimport pack_fields, trailer_fields
from linkerd2_py._ext.http2.nghttp2 cimport *
from linkerd2_py._ext.io.transport cimport SEND_FULL, SEND_OK


cdef class StreamOwner(Session):
    cdef int schedule(self) except -1:
        raise NotImplementedError("StreamOwner.schedule")

    cdef int owe(self, Http2Half half) except -1:
        raise NotImplementedError("StreamOwner.owe")

    cdef int forget(self, Http2Half half) except -1:
        raise NotImplementedError("StreamOwner.forget")


cdef class Http2Half(Stream):
    def __cinit__(self):
        self.version = HTTP_2
        self.queue = ByteQueue.__new__(ByteQueue)

    def __dealloc__(self):
        free(self.trailers)

    cdef int renew(self) noexcept:
        self.id = 0
        self.withheld = 0
        self.interims = 0
        self.awaits_proof = self.narrow = False
        self.doomed = self.held = self.deferred = self.told_full = False
        self.in_ended = self.out_ended = self.out_sent = False
        self.head_written = self.aborted = self.excused = False
        return 0

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
        cdef StreamOwner session = self.session
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
        cdef StreamOwner session = self.session
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
