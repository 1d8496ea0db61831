"""What the HTTP/2 server and client codecs share: one libnghttp2 session on a transport, and its streams."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.http2.block cimport Block
from linkerd2_py._ext.http2.half cimport Http2Half, StreamOwner
from linkerd2_py._ext.http2.meter cimport Bucket, Budget, FrameMeter
from linkerd2_py._ext.http2.nghttp2 cimport nghttp2_session, nghttp2_session_get_stream_user_data
from linkerd2_py._ext.http2.stream_table cimport StreamTable
from linkerd2_py._ext.io.actor cimport Timer

cdef class Http2Session(StreamOwner):
    cdef Limits limits
    cdef StreamTable table           # owned: the references that keep the live streams
    cdef Block block                 # header block under way, or None
    cdef Http2Half block_half
    cdef FrameMeter meter
    cdef Budget anomalies
    cdef Bucket resets               # server: what requests that were given up at once may still cost
    cdef uint32_t reads              # how often bytes came
    cdef uint32_t overdue            # frames written since the transport was last below its mark
    cdef list due                    # halves whose peer is to be told that there is room
    cdef bint slot_due               # the owner is to be told that a stream may be opened
    # Inside a libnghttp2 call: the session must not be deleted, nor called again.
    cdef bint busy
    cdef bint serves                 # the server's side
    cdef bint awaiting_pong
    cdef bint ping_held               # the peer took nothing when its answer was last due
    cdef int32_t opened              # server: the last stream that the client began, taken or refused
    # We sent GOAWAY for what the client's resets cost: who was accepted finishes, nobody else begins.
    cdef bint calmed
    cdef int32_t calmed_at           # the last stream that it named
    cdef bint broken                 # libnghttp2 ends the connection with an error
    cdef bint settings_seen
    # What answered our preface is no HTTP/2, so whoever it is has read no request.
    cdef bint foreign
    cdef bint heard                  # bytes came since the alarm was armed
    cdef bint transport_dead
    cdef uint32_t kill_code
    cdef object failure              # an exception raised below a libnghttp2 callback
    cdef Timer alarm                 # preface, keep-alive ping, its answer, lingering close: one at a time
    cdef Timer stall                 # armed while something waits to be sent
    cdef uint64_t sent_mark          # transport.tx_bytes when the stall timer was armed
    cdef int64_t sent_at

    # -- what differs between server and client
    cdef nghttp2_session* open_session(self) except NULL
    cdef int open_settings(self) except -1
    cdef Http2Half make_half(self)
    cdef int on_block(self, Http2Half half, Block block, int category, bint end) except -1   # owns neither
    # Server: the beginning of a request's head or trailers.
    cdef int on_client_head(self, int32_t id) except -1
    # DATA after the other side ended or reset that stream.
    cdef int on_late_body(self, int32_t id) except -1
    # By the other side; None: of no stream that lives.
    cdef int on_reset(self, Http2Half half) except -1
    cdef int on_reset_written(self, int32_t id, Http2Half half) except -1
    cdef int on_end_written(self, Http2Half half) except -1
    cdef int on_goaway(self, int32_t last_id, uint32_t code) except -1
    cdef int on_pong(self, const uint8_t* opaque_bytes) except -1
    cdef int on_stream_gone(self) except -1
    cdef int on_slot(self) except -1
    cdef int on_ended(self, FaultKind kind, int code) except -1
    cdef int on_stalled(self, Http2Half half) except -1
    cdef bint pings(self) noexcept
    cdef bint may_ping(self) noexcept              # now

    # -- streams
    cdef Http2Half enter(self, Http2Half half, int32_t id)
    cdef inline Http2Half half_of(self, int32_t id):
        return self.table.at(<uint64_t> nghttp2_session_get_stream_user_data(self.h2, id))

    cdef int fail_half(self, Http2Half half, FaultKind kind, uint32_t code) except -1
    cdef int close_half(self, Http2Half half, uint32_t code) except -1
    # -- bytes
    cdef int parse(self, uint8_t* p, size_t n) except -1
    cdef bint feed(self, const uint8_t* p, size_t n) except -1      # to libnghttp2; false: over
    cdef int pump(self) except -1
    cdef int pull(self) except -2
    cdef int run_due(self) except -1
    cdef int pay(self, Http2Half half) except -1
    cdef int leave(self) except -1
    # -- ends
    cdef int shut(self) except -1                # everything, now: streams reset, the owner told, RST
    cdef int kill(self, uint32_t code) except -1
    cdef int end(self, FaultKind kind, int code) except -1
    cdef int report_end(self, FaultKind kind) except -1
    cdef int linger(self) except -1
    cdef int delete_session(self) except -1
    # -- timers
    cdef int start_alarm(self) except -1
    cdef int ring(self) except -1
    cdef int watch_stall(self) except -1
    cdef int arm_stall(self) except -1
    cdef int check_stall(self) except -1
