# cython: language_level=3
"""Opens the channel and the TLS transport to the tests."""

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from linkerd2_py._ext.core.buffer cimport BUFFER_SMALL, lease_for_reading
from linkerd2_py._ext.core.fault cimport FaultKind, fault_text
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.linux cimport EPOLLIN, MSG_NOSIGNAL, c_send
from linkerd2_py._ext.io.listener cimport Accepting
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.ring cimport Ring, open_ring
from linkerd2_py._ext.io.transport cimport Connecting, Session, Transport
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics
from linkerd2_py._ext.tls.channel cimport (
    CHANNEL_BROKEN,
    CHANNEL_END,
    CHANNEL_FULL,
    CHANNEL_MORE,
    KEY_RECORDS,
    RECORD_BYTES,
    Channel,
    calling,
    serving,
)
from linkerd2_py._ext.tls.credentials cimport Credentials
from linkerd2_py._ext.tls.openssl cimport (
    SSL_KEY_UPDATE_NOT_REQUESTED,
    SSL_KEY_UPDATE_REQUESTED,
    SSL_key_update,
)
from linkerd2_py._ext.tls.party cimport TAKES_HEADER, TAKES_NOTHING
from linkerd2_py._ext.tls.transport cimport Securing, TlsTransport, connect_tls

OUTCOMES = {
    0: "done",
    1: "plaintext",
    <int> CHANNEL_MORE: "more",
    <int> CHANNEL_END: "end",
    <int> CHANNEL_BROKEN: "broken",
    <int> CHANNEL_FULL: "full",
}


cdef str text_of(bytes name):
    return None if name is None else name.decode()


cdef class MemoryChannel:
    cdef Channel channel
    cdef bytes waits, says
    cdef size_t room

    def __init__(
        self,
        Credentials credentials not None,
        *,
        server_name: str | None = None,
        expected: str | None = None,
        header: bool = False,
        room: int = 65536,
    ):
        self.room = room
        self.waits = self.says = b""
        if server_name is None:
            self.channel = serving(credentials, TAKES_HEADER if header else TAKES_NOTHING)
        else:
            self.channel = calling(
                credentials, server_name.encode(), (expected or server_name).encode(), header,
            )

    def confine(self, room: int) -> None:
        """From now on it may say no more than that in one call."""
        self.room = room

    def feed(self, ciphertext: bytes) -> None:
        self.waits += ciphertext

    def said(self) -> bytes:
        said, self.says = self.says, b""
        return said

    cdef object call(self, str what, object argument):
        cdef bytearray out = bytearray(self.room)
        cdef bytearray plain = bytearray(argument if what == "read" else 0)
        cdef bytes content = argument if what == "write" else b""
        cdef Py_ssize_t outcome = 0
        self.channel.pipe.in_ = self.waits
        self.channel.pipe.in_left = len(self.waits)
        self.channel.pipe.out = out
        self.channel.pipe.out_room = self.room
        self.channel.pipe.out_used = 0
        if what == "handshake":
            outcome = self.channel.handshake()
        elif what == "read":
            outcome = self.channel.read(plain, len(plain))
        elif what == "peek":
            outcome = self.channel.peek()
        elif what == "write":
            outcome = self.channel.write(content, <int> len(content))
        else:
            self.channel.close_notify()
        self.waits = self.waits[len(self.waits) - self.channel.pipe.in_left:]
        self.says += bytes(out[:self.channel.pipe.out_used])
        if what == "read" and outcome > 0:
            return bytes(plain[:outcome])
        return outcome if what == "write" and outcome > 0 else OUTCOMES[outcome]

    def handshake(self) -> str:
        return self.call("handshake", None)

    def read(self, room: int = 65536) -> bytes | str:
        return self.call("read", room)

    def peek(self) -> str:
        return self.call("peek", None)

    def write(self, plaintext: bytes) -> None:
        for start in range(0, len(plaintext), RECORD_BYTES):
            piece = plaintext[start:start + RECORD_BYTES]
            outcome = self.call("write", piece)
            if outcome != len(piece):
                raise RuntimeError(f"write: {outcome}")

    def close_notify(self) -> None:
        self.call("close_notify", None)

    def update_keys(self, *, both: bool = False) -> None:
        """Says that new keys follow; `both`: and asks for as much."""
        kind = SSL_KEY_UPDATE_REQUESTED if both else SSL_KEY_UPDATE_NOT_REQUESTED
        if SSL_key_update(self.channel.ssl, kind) != 1:
            raise RuntimeError("no key update now")
        self.call("handshake", None)

    def age(self) -> None:
        """As if the last record had been written that the keys may write."""
        self.channel.records = KEY_RECORDS

    @property
    def waiting(self) -> int:
        """Ciphertext that was fed and not used yet."""
        return len(self.waits)

    @property
    def peer(self) -> str | None:
        return text_of(self.channel.peer)

    @property
    def failure(self) -> str | None:
        return self.channel.failure

    @property
    def has_header(self) -> bool:
        return bool(self.channel.has_header)


cdef class AcceptSecure(Accepting):
    cdef object credentials, factory
    cdef bint takes_header
    cdef int64_t timeout_ns
    cdef TcpMetrics metrics
    cdef readonly list under_way, refused, secured

    def __init__(
        self,
        credentials: object,
        factory: object,
        *,
        bint takes_header=False,
        int64_t timeout_ns=10_000_000_000,
        TcpMetrics metrics=None,
    ):
        self.credentials, self.factory = credentials, factory
        self.takes_header, self.timeout_ns, self.metrics = takes_header, timeout_ns, metrics
        self.under_way, self.refused, self.secured = [], [], []

    cdef Transport new_transport(self):
        return TlsTransport.__new__(TlsTransport)

    cdef int on_accepted(self, Transport transport) except -1:
        cdef FirstBytes session = FirstBytes.__new__(FirstBytes)
        session.door = self
        return transport.attach(session)


cdef class FirstBytes(Session):
    """Waits for the first byte of the hello."""
    cdef AcceptSecure door

    cdef int on_readable(self) except -1:
        cdef SecureThen session = SecureThen.__new__(SecureThen)
        session.door = self.door
        return (<TlsTransport?> self.transport).secure(
            self.door.credentials(), TAKES_HEADER if self.door.takes_header else TAKES_NOTHING, session,
            self.door.timeout_ns,
        )

    cdef int on_read_eof(self) except -1:
        return self.transport.close()


cdef class SecureThen(Securing):
    cdef AcceptSecure door
    cdef Channel channel

    cdef int on_attached(self) except -1:
        self.channel = (<TlsTransport> self.transport).channel
        self.door.under_way.append(self)
        return 0

    cdef int on_secured(self) except -1:
        self.door.under_way.remove(self)
        self.door.secured.append((text_of(self.channel.peer), bool(self.channel.has_header)))
        self.transport.count_as(self.door.metrics)
        return self.transport.attach(self.door.factory())

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        self.door.under_way.remove(self)
        self.door.refused.append(((<bytes> fault_text(kind)).decode(), self.channel.failure))
        return 0

    def send(self, content: bytes) -> None:
        self.transport.send(content, len(content))
        self.transport.flush()

    def shutdown_write(self) -> None:
        self.transport.shutdown_write()

    def close(self) -> None:
        self.door.under_way.remove(self)
        self.transport.close()


def remembered(Credentials credentials not None) -> dict[bytes, tuple[bytes, float]]:
    """What is known of peers' leaves, itself: a test may change it."""
    return credentials.checked


def connect_secure(
    Loop loop not None,
    Address address not None,
    Connecting session not None,
    *,
    Credentials credentials not None,
    server_name: str,
    expected: str | None = None,
    header: bool = False,
    int64_t timeout_ns=5_000_000_000,
    TcpMetrics metrics=None,
) -> None:
    """Connects; the session hears of it once the peer has proven to be `expected` (or `server_name`)."""
    connect_tls(
        loop, address, credentials, server_name.encode(), (expected or server_name).encode(), header,
        session, timeout_ns, None, metrics,
    )


cdef TlsTransport transport_of(Session session):
    if session.transport is None:
        raise RuntimeError("the session has no transport")
    return <TlsTransport?> session.transport


def peer_of(Session session not None) -> tuple[str | None, bool]:
    """The peer's identity, and whether the transport header was agreed."""
    cdef Channel channel = transport_of(session).channel
    return text_of(channel.peer), bool(channel.has_header)


def failure_of(Session session not None) -> str | None:
    return transport_of(session).failure()


def state_of(Session session not None) -> dict[str, int]:
    """What the transport holds of ciphertext now."""
    cdef TlsTransport transport = transport_of(session)
    return {
        "arrived": 0 if transport.arrived is None else transport.arrived.size(),
        "sealed": 0 if transport.sealed is None else transport.sealed.size(),
        "sealed_plain": transport.sealed_plain,
    }


def be_told(Session session not None, outcome: int, ciphertext: bytes = b"") -> None:
    """As if the batch had read for this transport's event with this outcome: 0, -errno, or the size of
    `ciphertext`."""
    cdef TlsTransport transport = transport_of(session)
    cdef const char* content = ciphertext
    transport.arrived = lease_for_reading(BUFFER_SMALL)
    memcpy(transport.arrived.mem, content, len(ciphertext))
    transport.on_received(outcome)
    transport.on_event(EPOLLIN)


def be_sent(Session session not None, outcome: object) -> None:
    """As if the batch had written what is unsent: `outcome` gets the size of the ciphertext and answers what
    became of it. LookupError without io_uring."""
    cdef TlsTransport transport = transport_of(session)
    cdef Ring ring = open_ring()
    if ring is None or not transport.put_send(ring):
        raise LookupError("not written in a batch")
    result = outcome(transport.sealed.size())
    if result > 0 and c_send(transport.fd, transport.sealed.head(), result, MSG_NOSIGNAL) != result:
        raise RuntimeError("the socket is full")
    transport.on_sent(result)
