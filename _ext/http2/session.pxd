"""What the HTTP/2 server and client codecs share: one libnghttp2 session on a transport, and its streams
as halves of exchanges.

libnghttp2 keeps a number per stream (slot and generation), never a pointer: a callback for a stream that
is gone finds nothing.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.stream cimport Peer, Stream
from linkerd2_py._ext.http2.fields cimport Block
from linkerd2_py._ext.http2.meter cimport Bucket, Budget, FrameMeter
from linkerd2_py._ext.http2.nghttp2 cimport nghttp2_nv, nghttp2_session
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Session

cdef enum:
    QUEUE_HIGH = 65536         # unsent body bytes of one stream from which send_body answers SEND_FULL
    QUEUE_LOW = 32768
    SHARED_HIGH = 262144       # of all streams of a connection: from then on one is full with whatever it has

cdef class Http2Half(Stream):
    """One stream. Recycled; `session` is None once the stream is gone, and then every command is a no-op."""
    # Owned while the stream lives (the session's table owns the half: broken by forget)
    cdef Http2Session session
    cdef int32_t id                  # 0: a client stream whose head was not sent yet
    cdef uint32_t slot
    cdef uint32_t generation
    cdef Block block                 # owned: the request head until released
    # body that waits for windows or the transport
    cdef ByteQueue queue             # owned; kept while recycled
    cdef nghttp2_nv* trailers        # owned, freed by drop_queue: what send_trailers left to follow the body
    cdef int trailer_count
    cdef int64_t opened_at           # server: loop ns at which its head came
    cdef uint32_t read               # server: session.reads of then
    # Loop ns of the last body byte taken from the queue, or of the first put into the empty one.
    cdef int64_t progress_at
    # body received
    cdef size_t withheld             # delivered bytes whose stream credit was not returned
    cdef int interims
    cdef bint held
    # Client: only the first window was granted, until what it brought is taken.
    cdef bint narrow
    cdef bint doomed                 # could not be sent at all: reported from the next pump
    cdef bint deferred               # libnghttp2 stopped asking for body until resume_data
    cdef bint told_full
    cdef bint in_ended               # the other side's message ended cleanly
    cdef bint out_ended              # ours was queued to its end
    cdef bint out_sent               # END_STREAM is written
    cdef bint head_written           # our HEADERS left libnghttp2
    cdef bint aborted                # RST_STREAM by us was asked for, or the stream is gone
    cdef bint excused                # our RST_STREAM is not the other side's doing: it costs nothing

    cdef uint64_t key(self) noexcept
    # No more body, please; so many bytes are being written, which the windows still count.
    cdef bint is_full(self, size_t leaving) noexcept
    cdef int enqueue(self, const char* p, size_t n) except -1
    cdef int dequeue(self, char* to, size_t n) except -1
    cdef int end_out(self) except -1         # our message is queued to its end
    cdef int settle(self) except -1          # lets go of the peer when nothing more will be reported or asked
    cdef int wake(self) except -1
    cdef int drop_queue(self) except -1
    # Which of the peer's methods a report goes to.
    cdef int report_body(self, Peer peer, const char* p, size_t n, bint end) except -1
    cdef int report_reset(self, Peer peer, FaultKind kind, uint32_t code, bint refused) except -1
    cdef int report_room(self, Peer peer) except -1
    cdef int rest_again(self) except -1
    cdef int refuse(self) except -1

cdef class Http2Session(Session):
    cdef nghttp2_session* h2         # owned; deleted when over and not inside one of its calls
    cdef Limits limits
    cdef Loop loop
    cdef list table                  # slot -> Http2Half or None: the reference that keeps a live stream
    cdef uint32_t* free_slots        # owned; a stack of slots whose half is gone
    cdef uint32_t free_count, free_room
    cdef int streams                 # live halves
    cdef uint32_t generation
    cdef Block block                 # header block under way, or None
    cdef Http2Half block_half
    cdef FrameMeter meter
    cdef Budget anomalies
    cdef Bucket resets               # server: what requests that were given up at once may still cost
    cdef uint32_t reads              # how often bytes came
    cdef size_t queued               # body bytes waiting in all halves
    cdef uint32_t overdue            # frames written since the transport was last below its mark
    cdef list due                    # halves whose peer is to be told that there is room
    cdef bint slot_due               # the owner is to be told that a stream may be opened
    # Inside a libnghttp2 call: the session must not be deleted, nor called again.
    cdef bint busy
    cdef bint serves                 # the server's side
    cdef bint awaiting_pong
    cdef int32_t opened              # server: the last stream that the client began, taken or refused
    # We sent GOAWAY for what the client's resets cost: who was accepted finishes, nobody else begins.
    cdef bint calmed
    cdef int32_t calmed_at           # the last stream that it named
    cdef bint broken                 # libnghttp2 ends the connection with an error
    cdef bint over                   # nothing is parsed or sent any more
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

    # -- streams
    cdef Http2Half enter(self, Http2Half half, int32_t id)
    cdef int forget(self, Http2Half half) except -1
    cdef int add_slot(self) except -1
    cdef Http2Half at(self, uint64_t key)
    cdef Http2Half half_of(self, int32_t id)
    cdef int fail_half(self, Http2Half half, FaultKind kind, uint32_t code) except -1
    cdef int close_half(self, Http2Half half, uint32_t code) except -1
    # -- bytes
    cdef int schedule(self) except -1
    cdef int parse(self, uint8_t* p, size_t n) except -1
    cdef bint feed(self, const uint8_t* p, size_t n) except -1      # to libnghttp2; false: over
    cdef int pump(self) except -1
    cdef int pull(self) except -2
    cdef int run_due(self) except -1
    cdef int owe(self, Http2Half half) except -1
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
