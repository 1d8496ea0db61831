# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Bytes between a socket and a session. Nothing here knows a protocol.

Readiness is edge-triggered and remembered in `readable` and `writable`; an exchange of bytes costs one recv
and one send and no other call.
Whatever can end a transport is told to its session from the loop, never from inside a call the session makes.
Every method that may let go of the last reference to `self` or to the session holds one of its own while it
runs.
"""

from libc.errno cimport EAGAIN, ECONNREFUSED, EINTR, ETIMEDOUT
from posix.unistd cimport close

from linkerd2_py._ext.core.buffer cimport BUFFER_LARGE, BUFFER_SMALL, give_back, lease, lease_for_reading
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_SESSION, LIVE_TRANSPORT, born, check, gone
from linkerd2_py._ext.core.fault cimport (
    FAULT_CONNECT_TIMEOUT,
    FAULT_IO,
    FAULT_LOCAL,
    FAULT_NONE,
    fault_of_errno,
)
from linkerd2_py._ext.io.address cimport apply_options
from linkerd2_py._ext.io.lingering cimport linger
from linkerd2_py._ext.io.linux cimport EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, iovec
from linkerd2_py._ext.io.ring cimport NOT_MADE, Ring
from linkerd2_py._ext.metrics.series cimport L5D_METRICS

cdef enum:
    # Unsent bytes above which a producer should stop: enough for the socket to go on while the producer is
    # told, little enough for thousands of peers that do not read.
    HIGH_MARK = 65536
    # Bytes that one transport reads before the others get their turn: one large buffer.
    READ_TURN = BUFFER_LARGE
    # A send of this size goes to the socket without a copy: below it the copy costs less than the call.
    DIRECT = BUFFER_SMALL
    # Buffers in one call: 256 KiB at least, which no socket takes at once by default.
    IOVECS = 16
    # Unsent bytes that a closed transport may still hold: what has no reader any more is worth so much, no
    # more.
    LINGER_BYTES = 4194304


cdef class Session(Actor):
    def __cinit__(self):
        if L5D_DEBUG:
            born(LIVE_SESSION)

    def __dealloc__(self):
        if L5D_DEBUG:
            gone(LIVE_SESSION)

    cdef int on_attached(self) except -1:
        return 0

    cdef int on_readable(self) except -1:
        return 0

    cdef int on_read_eof(self) except -1:
        return 0

    cdef int on_hangup(self) except -1:
        return 0

    cdef int on_drained(self) except -1:
        return 0

    cdef int on_flushed(self) except -1:
        return 0

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        return 0

    cdef int on_broken(self) except -1:
        return 0 if self.transport is None else self.transport.on_broken()


cdef class Connecting(Session):
    cdef int on_connected(self) except -1:
        return 0

    cdef int on_connect_failed(self, FaultKind kind, int code) except -1:
        return 0


cdef class Transport(RawConnection):
    def __cinit__(self):
        self.high_mark = HIGH_MARK
        self.read_size = BUFFER_SMALL
        self.outbox = ByteQueue.__new__(ByteQueue)
        self.outbox.roomy = True
        if L5D_DEBUG:
            born(LIVE_TRANSPORT)

    def __dealloc__(self):
        if L5D_DEBUG:
            gone(LIVE_TRANSPORT)

    cdef int attach(self, Session session) except -1:
        cdef Transport alive = self
        self.detach()
        session.transport = alive
        self.session = session
        self.told_full = False
        self.drained_due = False
        if self.dead:
            # Too late: the session hears so from the loop.
            return self.fail_later(FAULT_LOCAL, 0)
        return session.on_attached()

    cdef int detach(self) except -1:
        cdef Session session = self.session
        if session is not None:
            self.session = None
            if session.transport is self:
                session.transport = None
        return 0

    # -- events

    cdef int on_event(self, uint32_t events) except -1:
        if self.connecting:
            self.finish_connect(events)
            if self.connecting or self.dead:
                return 0
            self.flush()
            self.settle()
        if self.was_read:
            self.was_read = False
        elif events & (EPOLLIN | TROUBLE):
            self.readable = True
            if events & TROUBLE:
                self.hangup_seen = True
                if events & EPOLLERR:
                    self.error_seen = True
        if not self.writable and events & (EPOLLOUT | EPOLLERR | EPOLLHUP) and self.fault_kind == FAULT_NONE:
            self.writable = True
            if self.outbox.size:
                self.write_out()
            self.settle()
            self.tell_flushed()
        if self.readable or self.read_due:
            # Bulk makes room for small events, which the rest of the batch may be.
            if self.read_size == BUFFER_LARGE and self.loop.is_spent():
                return self.loop.defer(self)
            return self.read_ready()
        return 0

    cdef int on_deferred(self) except -1:
        cdef Session session = self.session
        if self.dead:
            return self.deliver_fault(self.fault_kind, self.fault_code)
        if self.drained_due:
            self.drained_due = False
            if session is not None and not self.told_full and self.fault_kind == FAULT_NONE:
                session.on_drained()
        if self.readable or self.read_due or self.hangup_seen:
            self.read_ready()
        return 0

    cdef int on_flush(self) except -1:
        self.flush()
        return self.tell_flushed()

    cdef int on_timer(self, Timer timer) except -1:
        if self.connecting:
            return self.connect_failed(FAULT_CONNECT_TIMEOUT, ETIMEDOUT)
        return 0

    cdef int on_broken(self) except -1:
        if self.dead:
            return 0
        self.reset_on_close()
        return self.deliver_fault(FAULT_IO, 0)

    cdef int on_loop_closed(self) except -1:
        return self.abort()

    # -- in a batch with others: what fill and write_out do in a call of their own

    cdef bint put_recv(self, uint32_t events, Ring ring) noexcept:
        if not self.may_read_ahead(events):
            return False
        self.inbox = self.put_buffer(ring)
        return self.inbox is not None

    cdef bint may_read_ahead(self, uint32_t events) noexcept:
        """Whether the read that follows this event is an ordinary one."""
        if events & (EPOLLIN | TROUBLE) != EPOLLIN or self.inbox is not None:
            return False
        if self.read_size != BUFFER_SMALL or self.pauses or self.session is None:
            return False
        return not (self.connecting or self.read_eof or self.hangup_seen)

    cdef Buffer put_buffer(self, Ring ring):
        """A leased one that the batch reads into; None without memory."""
        cdef Buffer buffer
        try:
            buffer = lease_for_reading(BUFFER_SMALL)
        except MemoryError:
            return None
        ring.put_recv(self.fd, buffer.tail(), buffer.room())
        return buffer

    cdef int on_received(self, int outcome) noexcept:
        cdef Buffer buffer = self.inbox
        if self.has_read(outcome):
            self.received(buffer, outcome)
            self.read_due = True
            return 0
        self.inbox = None
        give_back(buffer)
        return 0

    cdef bint has_read(self, int outcome) noexcept:
        """Whether the batch brought bytes; what else it says is remembered."""
        self.was_read = outcome > 0 or outcome == -EAGAIN
        # An end is read once more by the event that follows; an error the kernel tells only once.
        if outcome < 0 and outcome != -EAGAIN and outcome != NOT_MADE and outcome != -EINTR:
            self.fault_kind = fault_of_errno(-outcome, False)
            self.fault_code = -outcome
        return outcome > 0

    cdef bint put_send(self, Ring ring) noexcept:
        if self.outbox.size == 0 or not self.writable or not self.outbox.is_whole():
            return False
        ring.put_send(self.fd, self.outbox.first.head(), self.outbox.size)
        return True

    cdef int on_sent(self, int outcome) except -1:
        # Ended by somebody before it in the batch.
        if self.dead or self.outbox.size == 0:
            return 0
        if outcome == NOT_MADE or outcome == -EINTR:
            return self.on_flush()
        if outcome == -EAGAIN:
            self.writable = False
        elif outcome < 0:
            self.write_failed(-outcome)
        else:
            self.has_sent(outcome)
        self.settle()
        return self.tell_flushed()

    cdef int has_sent(self, size_t count) except -1:
        self.writable = count == self.outbox.size
        return self.wrote(count)

    # -- reading

    cdef int pause(self, PauseReason reason) except -1:
        self.pause_count[<int> reason] += 1
        self.pauses += 1
        return 0

    cdef int resume(self, PauseReason reason) except -1:
        if self.pause_count[<int> reason] == 0:
            if L5D_DEBUG:
                check(False, b"resume without pause")
            return 0
        self.pause_count[<int> reason] -= 1
        self.pauses -= 1
        return self.read_later() if self.pauses == 0 else 0

    cdef int forget_pauses(self) except -1:
        cdef int reason
        if self.pauses == 0:
            return 0
        for reason in range(<int> PAUSE_REASONS):
            self.pause_count[reason] = 0
        self.pauses = 0
        return self.read_later()

    cdef int read_later(self) except -1:
        if self.dead or (self.inbox is None and not self.readable):
            return 0
        self.read_due = True
        return self.loop.defer(self)

    cdef int read_ready(self) except -1:
        """Reads and hands over until the socket is drained, the session pauses or its turn is over.

        Only called from the loop.
        """
        cdef Py_ssize_t got
        cdef Py_ssize_t budget = READ_TURN
        if self.read_due:
            self.read_due = False
            if self.inbox is not None and self.pauses == 0:
                self.hand_over()
            if self.read_due:
                return 0
        while self.readable and self.pauses == 0 and not self.read_eof and self.session is not None:
            got = self.fill()
            if got == 0:
                break
            self.hand_over()
            budget -= got
            if got > BUFFER_SMALL:
                self.loop.weigh()
            if self.read_due:
                # The session goes on later with what is left.
                return 0
            if self.readable and (budget <= 0 or self.loop.is_spent()):
                self.loop.defer(self)
                return 0
        if self.hangup_seen and self.session is not None:
            self.after_hangup()
        return 0

    cdef Py_ssize_t fill(self) except -1:
        """One recv into the inbox: bytes; 0 when there is nothing to hand over (drained, ended, or no room
        left by the session)."""
        cdef Buffer buffer = self.inbox
        cdef size_t room
        cdef int got
        if buffer is None:
            buffer = lease_for_reading(self.read_size)
            self.inbox = buffer
        elif buffer.start and buffer.room() < buffer.capacity >> 3:
            buffer.compact()
        room = buffer.room()
        if room == 0:
            return 0
        got = self.recv_raw(buffer.tail(), room)
        if got <= 0:
            self.readable = False
            self.release_empty_inbox()
            self.received_end(got)
            return 0
        self.received(buffer, got)
        return got

    cdef int received(self, Buffer buffer, int got) noexcept:
        # A short read has drained the socket: no second recv to learn EAGAIN. The next byte is a fresh edge.
        self.readable = <size_t> got == buffer.room() or self.hangup_seen
        buffer.end += got
        self.rx_bytes += got
        if self.metrics is not None:
            self.metrics.read_bytes += got
        return 0

    cdef int received_end(self, int outcome) except -1:
        if outcome == 0:
            return self.deliver_eof()
        if outcome == -EAGAIN:
            return 0
        return self.deliver_fault(fault_of_errno(-outcome, False), -outcome)

    cdef int hand_over(self) except -1:
        cdef Session session = self.session
        if session is not None:
            session.on_readable()
        return self.release_empty_inbox()

    cdef int release_empty_inbox(self) except -1:
        cdef Buffer buffer = self.inbox
        if buffer is not None and buffer.start == buffer.end:
            self.inbox = None
            give_back(buffer)
        return 0

    cdef int widen_inbox(self) except -1:
        cdef Buffer old = self.inbox
        cdef Buffer wide
        if old.room() or old.start or old.capacity >= BUFFER_LARGE:
            return 0
        wide = lease(BUFFER_LARGE)
        wide.append(old.head(), old.size())
        self.inbox = wide
        give_back(old)
        return 0

    cdef int after_hangup(self) except -1:
        """The peer hung up and reading cannot go on now: tells what must not wait for it."""
        cdef int code
        if self.pauses and self.reads_before_fault and not self.read_eof:
            return 0
        if self.fault_kind != FAULT_NONE:
            return self.deliver_fault(self.fault_kind, self.fault_code)
        if self.error_seen:
            self.error_seen = False
            code = self.pending_error()
            if code:
                return self.deliver_fault(fault_of_errno(code, False), code)
        # Paused: only a FIN with nothing before it may be told.
        if self.pauses and not self.read_eof:
            code = self.peek_raw()
            if code <= 0:
                return self.received_end(code)
            return self.session.on_hangup()
        return 0

    cdef int deliver_eof(self) except -1:
        cdef Session session = self.session
        # After a failed write the kernel's EOF is what is left of a reset.
        if self.fault_kind != FAULT_NONE:
            return self.deliver_fault(self.fault_kind, self.fault_code)
        self.read_eof = True
        self.readable = False
        return 0 if session is None else session.on_read_eof()

    cdef int deliver_fault(self, FaultKind kind, int code) except -1:
        cdef Transport alive = self
        cdef Session session = self.session
        if self.connecting:
            return self.connect_failed(kind, code)
        self.session = None
        self.release(code)
        if session is None:
            return 0
        try:
            session.on_fault(kind, code)
        finally:
            if session.transport is alive:
                session.transport = None
        return 0

    # -- writing

    cdef char* reserve(self, size_t count) except NULL:
        return self.outbox.reserve(count)

    cdef int commit(self, size_t count) except -1:
        if L5D_DEBUG:
            check(
                not self.write_closing or self.dead or self.fault_kind != FAULT_NONE,
                b"bytes after shutdown_write",
            )
        if count:
            self.outbox.commit(count)
        if self.outbox.size == 0 or self.dead or self.fault_kind != FAULT_NONE:
            return self.outbox.clear()
        return 0

    cdef int send(self, const char* src, size_t count) except -1:
        if self.dead or self.fault_kind != FAULT_NONE or count == 0:
            return SEND_OK
        if L5D_DEBUG:
            check(not self.write_closing, b"bytes after shutdown_write")
        if count >= DIRECT and self.writable:
            self.send_large(src, count)
            self.settle()
        else:
            self.outbox.put(src, count)
        return self.outcome()

    cdef int send_large(self, const char* src, size_t count) except -1:
        """Writes what is unsent and `src` in one call; only what the socket does not take is copied."""
        cdef iovec[2] vectors
        cdef size_t before
        cdef ssize_t sent
        # More than one buffer unsent is rare: they go first, by themselves.
        if not self.outbox.is_whole():
            self.write_out()
            if self.outbox.size or not self.writable:
                return self.outbox.put(src, count) if self.fault_kind == FAULT_NONE else 0
        before = self.outbox.size
        if before:
            vectors[0].iov_base = self.outbox.first.head()
            vectors[0].iov_len = before
        vectors[1].iov_base = <void*> src
        vectors[1].iov_len = count
        if before:
            sent = self.sendv_raw(vectors, 2)
        else:
            sent = self.sendv_raw(&vectors[1], 1)
        if sent < 0:
            if sent == -EAGAIN:
                self.writable = False
                return self.outbox.put(src, count)
            return self.write_failed(<int> -sent)
        if <size_t> sent < before + count:
            self.writable = False
        if <size_t> sent <= before:
            self.wrote(sent)
            return self.outbox.put(src, count)
        if before:
            self.wrote(before)
            sent -= before
        self.tx_bytes += sent
        if self.metrics is not None:
            self.metrics.write_bytes += sent
        return self.outbox.put(src + sent, count - sent)

    cdef Py_ssize_t try_write(self, const char* src, size_t count) except -1:
        cdef iovec vector
        cdef ssize_t sent = 0
        if self.outbox.size:
            self.flush()
        if self.outbox.size == 0 and self.writable:
            vector.iov_base = <void*> src
            vector.iov_len = count
            sent = self.sendv_raw(&vector, 1)
            if sent < 0 and sent != -EAGAIN:
                self.write_failed(<int> -sent)
                return 0
            if sent < 0:
                sent = 0
            self.tx_bytes += sent
            if self.metrics is not None:
                self.metrics.write_bytes += sent
            if <size_t> sent < count:
                self.writable = False
        if <size_t> sent < count:
            self.told_full = True
        return sent

    cdef int flush(self) except -1:
        if self.outbox.size and self.writable:
            self.write_out()
            self.settle()
        return self.outcome()

    cdef int flush_later(self) except -1:
        return 0 if self.dead else self.loop.flush_later(self)

    cdef int write_out(self) except -1:
        """Writes unsent bytes until none are left or the socket is full."""
        cdef iovec[IOVECS] vectors
        cdef Buffer buffer
        cdef size_t wanted
        cdef ssize_t sent
        cdef int count
        while self.outbox.size and self.writable:
            buffer = self.outbox.first
            vectors[0].iov_base = buffer.head()
            vectors[0].iov_len = wanted = buffer.size()
            count = 1
            while buffer.next is not None and count < IOVECS:
                buffer = buffer.next
                vectors[count].iov_base = buffer.head()
                vectors[count].iov_len = buffer.size()
                wanted += buffer.size()
                count += 1
            sent = self.sendv_raw(vectors, count)
            if sent < 0:
                if sent == -EAGAIN:
                    self.writable = False
                    return 0
                return self.write_failed(<int> -sent)
            # A short write means a full socket: the kernel will say when there is room.
            if <size_t> sent < wanted:
                self.writable = False
            self.wrote(sent)
        return 0

    cdef int wrote(self, size_t count) except -1:
        self.outbox.skip(count)
        self.tx_bytes += count
        if self.metrics is not None:
            self.metrics.write_bytes += count
        return 0

    cdef int settle(self) except -1:
        """After writing: the FIN that was waiting, and the news that a producer may go on."""
        if self.outbox.size == 0 and self.write_closing and not self.write_closed and not self.connecting:
            self.write_closed = self.shutdown_raw() != -EAGAIN
            if not self.write_closed:
                self.writable = False
        # Nothing unsent and not writable: try_write was refused and waits for the socket, not for the outbox.
        if self.told_full and self.outbox.size <= self.high_mark >> 1 and (self.writable or self.outbox.size):
            self.told_full = False
            self.drained_due = True
            self.loop.defer(self)
        return 0

    cdef int write_failed(self, int code) except -1:
        """Remembers the fault. What the peer sent before it died is still readable and is handed over
        first."""
        self.outbox.clear()
        self.writable = False
        self.fault_kind = fault_of_errno(code, False)
        self.fault_code = code
        self.readable = not self.read_eof
        self.hangup_seen = True
        self.loop.defer(self)
        return 0

    cdef int shutdown_write(self) except -1:
        if self.dead or self.write_closing or self.fault_kind != FAULT_NONE:
            return 0
        self.write_closing = True
        self.flush()
        return self.settle()

    # -- ending

    cdef int close(self) except -1:
        cdef Transport alive = self
        if self.closed and not self.dead:
            return 0
        self.detach()
        if self.dead:
            return 0
        self.closed = True
        if self.connecting or self.fault_kind != FAULT_NONE:
            return self.end(self.fault_code)
        if self.outbox.size > LINGER_BYTES and self.writable:
            self.write_out()
        if self.outbox.size > LINGER_BYTES:
            return self.abort()
        if not self.read_eof and (self.inbox is not None or self.readable):
            self.linger_for_input = True
        if self.outbox.size or (self.linger_for_input and not self.read_eof):
            return linger(self, self.linger_for_input)
        if self.goodbye_raw() != -EAGAIN:
            return self.end(0)
        self.writable = False
        return linger(self, self.linger_for_input)

    cdef int abort(self) except -1:
        cdef Transport alive = self
        self.detach()
        if self.dead:
            return 0
        if not self.connecting:
            self.reset_on_close()
        return self.end(self.fault_code)

    cdef int end(self, int code) except -1:
        self.detach()
        return self.release(code)

    cdef int release(self, int code) except -1:
        """Gives everything back. The session, if any, is the caller's business."""
        cdef Transport alive = self
        cdef Buffer buffer = self.inbox
        if self.dead:
            return 0
        self.dead = True
        self.readable = self.writable = False
        self.loop.disarm(self.connect_timer)
        # Closing takes it out of the epoll set, too.
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1
        self.loop.remove(self)
        self.outbox.clear()
        self.inbox = None
        give_back(buffer)
        if self.counted:
            self.counted = False
            self.metrics.closed(code, self.loop.now - self.opened_at, self.loop.now)
        return 0

    cdef int fail_later(self, FaultKind kind, int code) except -1:
        """Dead already; the session hears of it from the loop."""
        self.fault_kind = kind
        self.fault_code = code
        self.release(code)
        return self.loop.defer(self)

    # -- connecting

    cdef int finish_connect(self, uint32_t events) except -1:
        return self.connected() if self.check_connect(events) else 0

    cdef int check_connect(self, uint32_t events) except -1:
        """1 once the kernel has connected; a failure is told."""
        cdef int code = self.pending_error()
        if code == 0 and not events & EPOLLOUT:
            return 0
        if code == 0 and self.connected_to_itself():
            code = ECONNREFUSED
        if code:
            self.connect_failed(fault_of_errno(code, True), code)
            return 0
        return 1

    cdef int connected(self) except -1:
        cdef Session session = self.session
        self.connecting = False
        self.writable = True
        self.loop.disarm(self.connect_timer)
        self.opened_at = self.loop.now
        if self.metrics is not None:
            self.counted = True
            self.metrics.opened(self.opened_at)
        return 0 if session is None else (<Connecting?> session).on_connected()

    cdef int connect_failed(self, FaultKind kind, int code) except -1:
        cdef Transport alive = self
        cdef Session session = self.session
        self.session = None
        self.release(code)
        self.connecting = False
        if session is None:
            return 0
        try:
            (<Connecting?> session).on_connect_failed(kind, code)
        finally:
            if session.transport is alive:
                session.transport = None
        return 0

    cdef Timer timer(self):
        if self.connect_timer is None:
            self.connect_timer = Timer()
        return self.connect_timer

    # -- what it is counted as

    cdef int count_as(self, TcpMetrics metrics) except -1:
        if not L5D_METRICS or metrics is None or self.metrics is not None or self.dead:
            return 0
        self.metrics = metrics
        self.counted = True
        metrics.opened(self.opened_at)
        metrics.read_bytes += self.rx_bytes
        metrics.write_bytes += self.tx_bytes
        return 0


cdef Transport accepted(Loop loop, int fd, TcpMetrics metrics):
    apply_options(fd, None)
    return wrap(Transport.__new__(Transport), loop, fd, metrics)


cdef Transport wrap(Transport transport, Loop loop, int fd, TcpMetrics metrics):
    transport.fd = fd
    transport.writable = True
    if not L5D_METRICS:
        metrics = None
    transport.metrics = metrics
    transport.opened_at = loop.now
    loop.add(transport, WATCHED)
    if metrics is not None:
        transport.counted = True
        metrics.opened(loop.now)
    return transport
