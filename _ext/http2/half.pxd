"""One HTTP/2 stream as a half of an exchange: what both messages have come to, and our body while it waits.

It commands libnghttp2 for its own stream, and asks its session for what concerns them all.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.exchange.stream cimport Peer, Stream
from linkerd2_py._ext.http2.block cimport Block
from linkerd2_py._ext.http2.nghttp2 cimport nghttp2_nv, nghttp2_session
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Session

cdef class Http2Half

cdef enum:
    QUEUE_HIGH = 65536         # unsent body bytes of one stream from which send_body answers SEND_FULL
    QUEUE_LOW = 32768
    SHARED_HIGH = 262144       # of all streams of a connection: from then on one is full with whatever it has
    # What a workload in the pod may send of a response before any of it was taken: one buffer. A client that
    # opens no window would otherwise make each stream hold a whole one at next to no cost of its own.
    FIRST_WINDOW = 16384

cdef class StreamOwner(Session):
    """The session as its streams know it."""
    cdef nghttp2_session* h2         # owned; deleted when over and not inside one of its calls
    cdef Loop loop
    cdef size_t queued               # body bytes waiting in all halves
    cdef bint over                   # nothing is parsed or sent any more
    cdef int schedule(self) except -1                  # what was queued is written before the turn ends
    cdef int owe(self, Http2Half half) except -1       # its peer is told once libnghttp2 has returned
    cdef int forget(self, Http2Half half) except -1    # the stream is gone; idempotent

cdef class Http2Half(Stream):
    """One stream. Recycled; `session` is None once the stream is gone, and then every command is a no-op."""
    # Owned while the stream lives (the session's table owns the half: broken by forget)
    cdef StreamOwner session
    cdef int32_t id                  # 0: a client stream whose head was not sent yet
    # What libnghttp2 keeps instead of a pointer, and whatever else may outlive us: never given twice.
    cdef uint64_t key
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

    cdef int renew(self) noexcept            # a recycled half as new
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
