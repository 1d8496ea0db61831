"""A transport whose bytes may be encrypted. Without a channel it is a plain one, so that an accepted
connection can become TLS in its place.

Plaintext keeps the meaning that bytes have on a plain transport: close_notify is a FIN, an end without it is
a reset. `sealed` holds ciphertext that the socket did not take. Bytes in it count as unsent until all of it
is gone: what was not taken must be offered again first, as every session does.
"""

from libc.stdint cimport int64_t, uint32_t
from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.types cimport flag
from linkerd2_py._ext.io.address cimport Address, SocketOptions
from linkerd2_py._ext.io.linux cimport iovec
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Connecting, Session, Transport
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics
from linkerd2_py._ext.tls.channel cimport Channel
from linkerd2_py._ext.tls.credentials cimport Credentials
from linkerd2_py._ext.tls.party cimport Takes

cdef class Securing(Session):
    """The session while a server's handshake runs: exactly one of on_secured and on_fault is called, once."""
    # The channel knows the peer: attach the real session now.
    cdef int on_secured(self) except -1

cdef class TlsTransport(Transport):
    cdef Channel channel                # owned; None: plain. Freed with the connection
    cdef Buffer arrived                 # leased while it holds ciphertext that was not read yet
    cdef Buffer sealed                  # leased while it holds ciphertext that was not sent yet
    cdef size_t sealed_plain            # bytes of plaintext in `sealed` that have not been told as sent
    # What recv_raw answers once the bytes before it were handed out: -EAGAIN: no end yet; 0; -errno.
    cdef int read_end
    cdef flag handshaking
    cdef flag tcp_connected             # as a client: the kernel has connected
    cdef flag drained                   # the last receive took all there was
    cdef flag received_ahead            # `arrived` was received by the batch for the read that follows
    # There may be bytes in the kernel that no event will tell of: look again from the loop.
    cdef flag unread
    # The channel is in the middle of the peer's message: it writes again once that was read.
    cdef flag write_waits
    cdef flag said_goodbye              # close_notify was written
    # Plaintext sent since the last silence: small records first, large ones for bulk.
    cdef size_t burst
    cdef int64_t sent_at                # loop ns

    # As a server, from the first bytes on: what is in the inbox is the client's hello. `session` hears of the
    # end within `timeout_ns`.
    cdef int secure(
        self, Credentials credentials, Takes takes, Securing session, int64_t timeout_ns,
    ) except -1
    cdef str failure(self)              # why the handshake or the connection broke; None

    cdef int look_again(self) noexcept
    cdef int advance_on(self, uint32_t events) except -1
    cdef int advance(self) except -1
    cdef int finished(self) except -1
    cdef int failed(self, FaultKind kind, int code) except -1
    cdef int receive(self) noexcept
    cdef bint receive_more(self) noexcept
    cdef int send_sealed(self) noexcept
    cdef int lend(self) except -1
    cdef int lend_out(self, size_t room) noexcept
    cdef int take_back(self) noexcept
    cdef int take_back_out(self) noexcept
    cdef Py_ssize_t decrypt(self, char* dst, size_t room) except? -1
    cdef Py_ssize_t read_records(self, char* dst, size_t room) except -1
    cdef ssize_t encrypt(self, iovec* vectors, int count) except? -1
    cdef ssize_t seal(self, iovec* vectors, int count, size_t skipped) except? -1
    cdef size_t next_record(self, size_t left) noexcept
    cdef int say_goodbye(self) noexcept
    cdef int drop_ciphertext(self) noexcept

# Starts a connect whose session hears that it is connected once the peer has proven to be `expected`. The
# timeout is for all of it.
cdef TlsTransport connect_tls(
    Loop loop, Address address,
    Credentials credentials, bytes server_name, bytes expected, bint offers_header,
    Connecting session, int64_t timeout_ns, SocketOptions options, TcpMetrics metrics,
)
