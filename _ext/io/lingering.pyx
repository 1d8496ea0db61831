# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Bounded in bytes and in time: a peer that neither reads nor ends does not hold a transport."""

from libc.errno cimport EAGAIN, ETIMEDOUT
from libc.stdint cimport int64_t, uint64_t

from linkerd2_py._ext.core.buffer cimport BUFFER_SMALL, Buffer
from linkerd2_py._ext.core.fault cimport FAULT_NONE
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.transport cimport PAUSE_DRAIN, Session

cdef enum:
    # Input that is thrown away out of politeness. A client that was answered early, say with 413, has about
    # so much under way before it reads the answer.
    LINGER_INPUT = 1048576

# Without progress: longer than a lost segment takes to be sent again a few times.
cdef int64_t LINGER_NS = 5000000000
# In all: a peer that takes a byte now and then does not hold us for ever.
cdef int64_t LINGER_TOTAL_NS = 60000000000


cdef class Lingering(Session):
    cdef bint awaits_fin
    cdef size_t discarded              # bytes thrown away
    cdef int64_t end_at                # loop ns: it ends then, progress or not
    cdef uint64_t sent_mark            # transport.tx_bytes when the timer was armed

    cdef int on_attached(self) except -1:
        cdef Transport transport = self.transport
        cdef Buffer unread = transport.inbox
        if unread is not None:
            unread.skip(unread.size())
            transport.release_empty_inbox()
        self.end_at = transport.loop.now + LINGER_TOTAL_NS
        if transport.readable:
            transport.loop.defer(transport)
        if transport.outbox.size and transport.writable:
            return transport.loop.flush_later(transport)
        self.wait()
        return transport.settle()

    cdef int on_readable(self) except -1:
        cdef Buffer inbox = self.transport.inbox
        self.discarded += inbox.size()
        inbox.skip(inbox.size())
        if self.discarded >= LINGER_INPUT:
            self.awaits_fin = False
            self.transport.pause(PAUSE_DRAIN)
        return self.end_if_done()

    cdef int on_read_eof(self) except -1:
        return self.end_if_done()

    cdef int on_flushed(self) except -1:
        if self.transport.tx_bytes != self.sent_mark or not self.transport.timer().armed:
            self.wait()
        return self.end_if_done()

    cdef int on_timer(self, Timer timer) except -1:
        cdef Transport transport = self.transport
        cdef bint undelivered
        if transport is None:
            return 0
        undelivered = transport.outbox.size > 0
        if undelivered:
            # The end must not look clean.
            transport.reset_on_close()
        return transport.end(ETIMEDOUT if undelivered else 0)

    cdef int wait(self) except -1:
        cdef Transport transport = self.transport
        self.sent_mark = transport.tx_bytes
        return transport.loop.arm(transport.timer(), self, min(LINGER_NS, self.end_at - transport.loop.now))

    cdef int end_if_done(self) except -1:
        cdef Transport transport = self.transport
        if transport.fault_kind != FAULT_NONE:
            return transport.end(transport.fault_code)
        if transport.outbox.size or (self.awaits_fin and not transport.read_eof):
            return 0
        if transport.goodbye_raw() == -EAGAIN:
            transport.writable = False
            return 0
        return transport.end(0)


cdef int linger(Transport transport, bint awaits_fin) except -1:
    cdef Lingering session = Lingering.__new__(Lingering)
    session.awaits_fin = awaits_fin
    # Where nothing is awaited, close(2) says FIN.
    transport.write_closing = awaits_fin
    transport.read_size = BUFFER_SMALL
    transport.reads_before_fault = False
    transport.forget_pauses()
    return transport.attach(session)
