# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Between a socket and a session, a channel: recv_raw decrypts, sendv_raw encrypts, shutdown_raw says
close_notify before the FIN.

A read answers short only when the socket is drained and everything that came was handed out, as a plain one
does; so the transport's own rules about edges hold unchanged. A handshake is driven from the loop; until it
ends nothing is read or written for the session.
"""

from libc.errno cimport EAGAIN, ECONNRESET, ENOMEM, ETIMEDOUT

from linkerd2_py._ext.core.buffer cimport BUFFER_LARGE, BUFFER_SMALL, give_back, lease, lease_for_reading
from linkerd2_py._ext.core.fault cimport EPROTO, FAULT_NONE, FAULT_TLS, fault_of_errno
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.connect cimport connect_with
from linkerd2_py._ext.io.linux cimport EPOLLIN, EPOLLOUT, iovec
from linkerd2_py._ext.io.ring cimport Ring
from linkerd2_py._ext.io.transport cimport TROUBLE
from linkerd2_py._ext.tls.channel cimport (
    CHANNEL_END,
    CHANNEL_FULL,
    CHANNEL_MORE,
    RECORD_BYTES,
    RECORD_EXTRA,
    calling,
    serving,
)

cdef enum:
    # Room in `sealed` for what the library says by itself: alerts, answers to key updates.
    SLACK = 512
    # Plaintext that goes out in one call from a small buffer, with room for the record.
    ONE_RECORD = 15360
    SMALL_RECORD = 4096        # a receiver can use it before the whole of a large one has arrived
    SMALL_BURST = 32768        # after so much without a pause it is bulk: fewer, larger records
    # Receives in a row that had nothing for the session (key updates, tickets): then the others get their
    # turn.
    BARREN = 4

# Long enough that a congestion window has shrunk: whoever speaks again starts with small records.
cdef int64_t SILENCE_NS = 1000000000


cdef class Securing(Session):
    cdef int on_secured(self) except -1:
        return 0


cdef class TlsTransport(Transport):

    def __cinit__(self):
        self.read_end = -EAGAIN

    def __dealloc__(self):
        self.drop_ciphertext()

    cdef int secure(
        self, Credentials credentials, Takes takes, Securing session, int64_t timeout_ns,
    ) except -1:
        self.channel = serving(credentials, takes)
        self.handshaking = True
        self.arrived = self.inbox
        self.inbox = None
        # What was read so far is the handshake's.
        self.rx_bytes = 0
        self.attach(session)
        if self.dead:
            return 0
        self.loop.arm(self.timer(), self, timeout_ns)
        return self.loop.defer(self)

    cdef str failure(self):
        return None if self.channel is None else self.channel.failure

    # ---- handshake

    cdef int finish_connect(self, uint32_t events) except -1:
        if not self.tcp_connected:
            if not self.check_connect(events):
                return 0
            self.tcp_connected = True
            self.writable = True
        return self.advance_on(events)

    cdef int on_event(self, uint32_t events) except -1:
        if self.channel is None or self.connecting:
            return Transport.on_event(self, events)
        if self.handshaking:
            return self.advance_on(events)
        if not self.was_read:
            # There may be more than what was received ahead of a read that did not come.
            self.received_ahead = False
        # What the library says by itself is counted nowhere: nobody else would send the rest of it.
        if events & EPOLLOUT and self.sealed is not None and self.sealed_plain == 0:
            self.send_sealed()
        return Transport.on_event(self, events)

    cdef int advance_on(self, uint32_t events) except -1:
        if events & (EPOLLIN | TROUBLE):
            self.readable = True
        if events & TROUBLE:
            self.hangup_seen = True
        if events & EPOLLOUT:
            self.writable = True
        return self.loop.defer(self) if self.loop.is_spent() else self.advance()

    cdef int on_deferred(self) except -1:
        if self.dead:
            return Transport.on_deferred(self)
        if self.handshaking:
            return self.advance() if self.tcp_connected or not self.connecting else 0
        self.look_again()
        return Transport.on_deferred(self)

    cdef int look_again(self) noexcept:
        if self.unread:
            self.unread = False
            self.readable = True
        return 0

    cdef int on_timer(self, Timer timer) except -1:
        if self.handshaking and not self.connecting:
            self.channel.failure = "the handshake timed out"
            return self.failed(FAULT_TLS, ETIMEDOUT)
        return Transport.on_timer(self, timer)

    cdef int advance(self) except -1:
        """Takes the handshake as far as the bytes that are here allow."""
        cdef TlsTransport alive = self
        cdef Py_ssize_t outcome
        cdef int code
        self.look_again()
        self.loop.weigh()
        while True:
            self.lend()
            outcome = self.channel.handshake()
            self.take_back()
            code = self.send_sealed()
            if code and code != -EAGAIN:
                return self.failed(fault_of_errno(-code, False), -code)
            if outcome == 0:
                return self.finished()
            if outcome == CHANNEL_FULL:
                if code:
                    return 0
                continue
            if outcome != CHANNEL_MORE:
                return self.failed(FAULT_TLS, EPROTO)
            if not self.readable:
                return 0
            code = self.receive()
            self.readable = code > 0 and (not self.drained or self.hangup_seen)
            if code == -EAGAIN:
                return 0
            if code <= 0:
                self.channel.failure = "the peer closed the connection during the handshake"
                return self.failed(FAULT_TLS, -code)

    cdef int finished(self) except -1:
        cdef Session session = self.session
        self.handshaking = False
        # Bytes may have come with the last of the handshake.
        self.readable = self.writable = True
        if self.connecting:
            self.connected()
        else:
            self.loop.disarm(self.connect_timer)
            (<Securing?> session).on_secured()
        if self.dead:
            return 0
        self.flush()
        self.settle()
        return self.loop.defer(self)

    cdef int failed(self, FaultKind kind, int code) except -1:
        if self.connecting:
            return self.connect_failed(kind, code)
        return self.deliver_fault(kind, code)

    # ---- the socket's side

    cdef int receive(self) noexcept:
        """One recv of ciphertext: bytes, 0 for FIN, -errno. `arrived` is empty before."""
        cdef Buffer buffer
        cdef int got
        try:
            buffer = lease_for_reading(self.read_size)
        except MemoryError:
            return -ENOMEM
        got = Transport.recv_raw(self, buffer.mem, buffer.capacity)
        if got <= 0:
            give_back(buffer)
            return got
        buffer.end = got
        self.arrived = buffer
        self.drained = <size_t> got < buffer.capacity
        return got

    cdef int send_sealed(self) noexcept:
        """0: all of it is gone; -EAGAIN: not yet; -errno."""
        cdef Buffer buffer = self.sealed
        cdef iovec vector
        cdef ssize_t sent
        if buffer is None:
            return 0
        while buffer.size():
            vector.iov_base = buffer.head()
            vector.iov_len = buffer.size()
            sent = Transport.sendv_raw(self, &vector, 1)
            if sent < 0:
                return <int> sent
            buffer.skip(sent)
        self.sealed = None
        give_back(buffer)
        return 0

    cdef int lend(self) except -1:
        """Gives the channel what has arrived, and room to answer."""
        if self.sealed is None:
            self.sealed = lease(BUFFER_SMALL)
        self.lend_out(self.sealed.room())
        self.channel.pipe.in_left = 0
        if self.arrived is not None:
            self.channel.pipe.in_ = self.arrived.head()
            self.channel.pipe.in_left = self.arrived.size()
        return 0

    cdef int lend_out(self, size_t room) noexcept:
        self.channel.pipe.out = self.sealed.tail()
        self.channel.pipe.out_room = room
        self.channel.pipe.out_used = 0
        return 0

    cdef int take_back(self) noexcept:
        """What was read is gone, what was written waits to be sent."""
        cdef Buffer buffer = self.arrived
        if buffer is not None:
            buffer.skip(buffer.size() - self.channel.pipe.in_left)
            if buffer.size() == 0:
                self.arrived = None
                give_back(buffer)
        self.channel.pipe.in_left = 0
        return self.take_back_out()

    cdef int take_back_out(self) noexcept:
        cdef Buffer buffer = self.sealed
        buffer.end += self.channel.pipe.out_used
        self.channel.pipe.out_room = self.channel.pipe.out_used = 0
        if buffer.size() == 0:
            self.sealed = None
            give_back(buffer)
        return 0

    # ---- reading

    cdef int recv_raw(self, char* dst, size_t room) noexcept:
        if self.channel is None:
            return Transport.recv_raw(self, dst, room)
        if self.handshaking:
            self.unread = True
            return -EAGAIN
        try:
            return <int> self.decrypt(dst, room)
        except MemoryError:
            return -ENOMEM

    cdef Py_ssize_t decrypt(self, char* dst, size_t room) except? -1:
        """Fills `dst` from the records that are here and from the socket until that is drained."""
        cdef size_t total = 0
        cdef Py_ssize_t got
        cdef int barren = 0
        cdef bint asked = self.received_ahead
        self.received_ahead = False
        while total < room and self.read_end == -EAGAIN:
            got = self.read_records(dst + total, room - total)
            if got > 0:
                total += got
                barren = 0
            elif got != CHANNEL_MORE:
                self.read_end = 0 if got == CHANNEL_END else -EPROTO
            elif asked and self.drained and not self.hangup_seen:
                break
            elif barren == BARREN:
                self.unread = True
                self.loop.defer(self)
                break
            else:
                asked = True
                barren += 1
                if not self.receive_more():
                    break
        if total == 0:
            return self.read_end
        if self.read_end != -EAGAIN:
            # The end is told with the next read, which a short one would not cause.
            self.hangup_seen = True
        return total

    cdef bint receive_more(self) noexcept:
        cdef int got = self.receive()
        if got == -EAGAIN:
            return False
        if got <= 0:
            # A FIN without close_notify may be an attacker's: what came before it is no whole. Behind an
            # error the kernel says FIN, too.
            self.read_end = got if got or self.fault_kind != FAULT_NONE else -ECONNRESET
        return True

    cdef Py_ssize_t read_records(self, char* dst, size_t room) except -1:
        cdef Py_ssize_t got, total = 0
        self.lend()
        while <size_t> total < room:
            got = self.channel.read(dst + total, room - total)
            if got <= 0:
                break
            total += got
        else:
            got = 0
        self.take_back()
        if self.sealed is not None and self.sealed_plain == 0:
            self.send_sealed()
        if self.write_waits:
            self.write_waits = False
            self.writable = True
            self.settle()
            self.loop.flush_later(self)
        return total if total else got

    cdef int peek_raw(self) noexcept:
        """The session is paused: looks no further than at whether there is a byte, or the end."""
        cdef Py_ssize_t got = CHANNEL_MORE
        cdef int barren
        if self.channel is None:
            return Transport.peek_raw(self)
        if self.handshaking:
            return -EAGAIN
        try:
            for barren in range(BARREN):
                if self.read_end != -EAGAIN:
                    break
                self.lend()
                got = self.channel.peek()
                self.take_back()
                if got > 0:
                    return 1
                if got != CHANNEL_MORE:
                    self.read_end = 0 if got == CHANNEL_END else -EPROTO
                elif not self.receive_more():
                    return -EAGAIN
            else:
                self.loop.defer(self)
        except MemoryError:
            return -ENOMEM
        return self.read_end

    # ---- writing

    cdef ssize_t sendv_raw(self, void* iov, int count) noexcept:
        if self.channel is None:
            return Transport.sendv_raw(self, iov, count)
        if self.handshaking:
            return -EAGAIN
        try:
            return self.encrypt(<iovec*> iov, count)
        except MemoryError:
            return -ENOMEM

    cdef ssize_t encrypt(self, iovec* vectors, int count) except? -1:
        """Encrypts and sends until the socket is full.

        Answers with plaintext whose ciphertext is gone, all of it.
        """
        cdef ssize_t taken, sealed
        cdef int code = self.send_sealed()
        if code:
            return code
        taken = self.sealed_plain
        self.sealed_plain = 0
        while True:
            sealed = self.seal(vectors, count, taken)
            if sealed <= 0:
                break
            self.sealed_plain = sealed
            code = self.send_sealed()
            if code:
                break
            self.sealed_plain = 0
            taken += sealed
        if sealed < 0:
            return sealed
        if code and code != -EAGAIN:
            return code
        return taken if taken else -EAGAIN

    cdef ssize_t seal(self, iovec* vectors, int count, size_t skipped) except? -1:
        """Records of what lies behind the first `skipped` bytes, as many as one buffer holds: plaintext
        bytes, 0 when nothing is left, -EPROTO."""
        cdef size_t wanted = 0, piece, start, sealed = 0
        cdef Py_ssize_t outcome
        cdef int i
        for i in range(count):
            wanted += vectors[i].iov_len
        if wanted <= skipped:
            return 0
        self.sealed = lease(BUFFER_SMALL) if wanted - skipped <= ONE_RECORD else lease_for_reading(
            BUFFER_LARGE
        )
        self.lend_out(self.sealed.capacity)
        for i in range(count):
            start = min(skipped, vectors[i].iov_len)
            skipped -= start
            while start < vectors[i].iov_len:
                piece = self.next_record(vectors[i].iov_len - start)
                if piece == 0:
                    break
                outcome = self.channel.write(<const char*> vectors[i].iov_base + start, <int> piece)
                if outcome == CHANNEL_MORE:
                    self.write_waits = True
                    break
                if outcome != <Py_ssize_t> piece:
                    self.take_back_out()
                    return -EPROTO
                start += piece
                sealed += piece
                self.burst += piece
            if start < vectors[i].iov_len:
                break
        self.take_back_out()
        return sealed

    cdef size_t next_record(self, size_t left) noexcept:
        """How much goes into the next record; 0 when the buffer is full.

        An answer to a key update may go before it.
        """
        cdef size_t room = self.channel.pipe.out_room - self.channel.pipe.out_used
        cdef size_t size
        if self.loop.now - self.sent_at > SILENCE_NS:
            self.burst = 0
        self.sent_at = self.loop.now
        size = SMALL_RECORD if self.burst < SMALL_BURST else RECORD_BYTES
        size = min(size, left)
        if size + RECORD_EXTRA + SLACK <= room:
            return size
        # Where large buffers are used up, a small one holds a little less than a large record.
        return ONE_RECORD if self.channel.pipe.out_used == 0 else 0

    cdef int shutdown_raw(self) noexcept:
        if self.handshaking or (self.channel is not None and self.say_goodbye() == -EAGAIN):
            return -EAGAIN
        return Transport.shutdown_raw(self)

    cdef int goodbye_raw(self) noexcept:
        return 0 if self.channel is None else self.say_goodbye()

    cdef int say_goodbye(self) noexcept:
        # First what waits: then there is room.
        cdef int code = self.send_sealed()
        if code or self.said_goodbye or self.fault_kind != FAULT_NONE:
            return code
        self.said_goodbye = True
        try:
            self.lend()
            self.channel.close_notify()
            self.take_back()
        except MemoryError:
            # Without memory for 24 bytes the end is told by the socket alone.
            return -ENOMEM
        return self.send_sealed()

    # ---- in a batch with others

    cdef bint put_recv(self, uint32_t events, Ring ring) noexcept:
        if self.channel is None:
            return Transport.put_recv(self, events, ring)
        if self.handshaking or self.arrived is not None or not self.may_read_ahead(events):
            return False
        self.arrived = self.put_buffer(ring)
        return self.arrived is not None

    cdef int on_received(self, int outcome) noexcept:
        cdef Buffer buffer = self.arrived
        if self.channel is None:
            return Transport.on_received(self, outcome)
        if self.has_read(outcome):
            buffer.end = outcome
            self.drained = <size_t> outcome < buffer.capacity
            self.received_ahead = True
            self.readable = True
            return 0
        self.arrived = None
        give_back(buffer)
        return 0

    cdef bint put_send(self, Ring ring) noexcept:
        cdef iovec vector
        cdef ssize_t sealed
        if self.channel is None:
            return Transport.put_send(self, ring)
        if self.handshaking or self.outbox.size == 0 or not self.writable or not self.outbox.is_whole():
            return False
        if self.sealed is not None or self.sealed_plain or self.outbox.size > ONE_RECORD:
            return False
        vector.iov_base = self.outbox.first.head()
        vector.iov_len = self.outbox.size
        try:
            sealed = self.seal(&vector, 1, 0)
        except MemoryError:
            return False
        if sealed <= 0:
            return False
        self.sealed_plain = sealed
        ring.put_send(self.fd, self.sealed.head(), self.sealed.size())
        return True

    cdef int has_sent(self, size_t count) except -1:
        cdef Buffer buffer = self.sealed
        cdef size_t told = self.sealed_plain
        if self.channel is None:
            return Transport.has_sent(self, count)
        buffer.skip(count)
        if buffer.size():
            self.writable = False
            return 0
        self.sealed = None
        give_back(buffer)
        self.sealed_plain = 0
        return self.wrote(told)

    # ---- ends

    cdef int close(self) except -1:
        cdef TlsTransport alive = self
        # Before the handshake is over nobody can be told of an end in order.
        return self.end(0) if self.handshaking and not self.connecting else Transport.close(self)

    cdef int release(self, int code) except -1:
        cdef TlsTransport alive = self
        Transport.release(self, code)
        self.drop_ciphertext()
        if self.channel is not None:
            self.channel.free()
        return 0

    cdef int drop_ciphertext(self) noexcept:
        give_back(self.arrived)
        give_back(self.sealed)
        self.arrived = self.sealed = None
        self.sealed_plain = 0
        return 0


cdef TlsTransport connect_tls(
    Loop loop, Address address,
    Credentials credentials, bytes server_name, bytes expected, bint offers_header,
    Connecting session, int64_t timeout_ns, SocketOptions options, TcpMetrics metrics,
):
    cdef TlsTransport transport = TlsTransport.__new__(TlsTransport)
    transport.channel = calling(credentials, server_name, expected, offers_header)
    transport.handshaking = True
    connect_with(transport, loop, address, session, timeout_ns, options, metrics)
    return transport
