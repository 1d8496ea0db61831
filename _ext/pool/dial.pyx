# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Dialling; read it from Dialer.dial down."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp

from linkerd2_py._ext.core.fault cimport EPROTO, FAULT_REFUSED, FAULT_TLS
from linkerd2_py._ext.detect.transport_header cimport (
    SESSION_HTTP1,
    SESSION_HTTP2,
    SESSION_OPAQUE,
    TRANSPORT_HEADER_ROOM,
    SessionProtocol,
    write_transport_header,
)
from linkerd2_py._ext.exchange.backend cimport WANTS_HTTP1, WANTS_HTTP2, WANTS_TRANSPORT
from linkerd2_py._ext.io.connect cimport connect, connect_fd
from linkerd2_py._ext.tls.credentials cimport Credentials
from linkerd2_py._ext.tls.transport cimport TlsTransport, connect_tls


cdef class Dialer(Backend):

    cdef bint proves(self, Span name) noexcept:
        cdef bytes ours
        if self.peer is None:
            return False
        ours = self.peer.raw_name
        if <size_t> PyBytes_GET_SIZE(ours) != name.len:
            return False
        return memcmp(PyBytes_AS_STRING(ours), name.ptr, name.len) == 0

    cdef int dial(self, Wants wants, Waiter waiter, bint probe) except -1:
        cdef Dial dial = Dial.__new__(Dial)
        dial.dialer = self
        dial.waiter = waiter
        dial.wants = wants
        dial.probe = probe
        if self.peer is not None:
            self.dial_secured(dial)
        else:
            self.dial_plain(dial)
        # Only now: what raises is no connect under way.
        return self.note_dial(wants, 1)

    cdef int note_dial(self, Wants wants, int change) except -1:
        if wants == WANTS_HTTP2:
            self.dialing_http2 += change
        elif wants == WANTS_HTTP1:
            self.dialing_http1 += change
        return 0

    cdef int dial_plain(self, Dial dial) except -1:
        cdef PoolSettings settings = self.settings
        dial.dialer = self
        dial.where = self.at
        connect(self.loop, self.at, dial, settings.connect_timeout_ns, settings.socket, self.tcp)
        return 0

    cdef int dial_secured(self, Dial dial) except -1:
        cdef ServerIdentity peer = self.peer
        cdef Credentials credentials = self.local.credentials
        cdef Address where = self.address
        cdef PoolSettings settings = self.settings
        if credentials is None:
            # Nothing to prove ourselves with: that is a failed connect, never a plain one.
            connect_fd(
                Transport.__new__(Transport), self.loop, -EPROTO, where, dial, settings.connect_timeout_ns,
                settings.socket, self.tcp,
            )
            return 0
        if peer.tunnel_port:
            where = Address(where.host, peer.tunnel_port)
        connect_tls(
            self.loop, where, credentials, peer.raw_server_name, peer.raw_name, peer.tunnel_port != 0, dial,
            settings.connect_timeout_ns, settings.socket, self.tcp,
        )
        return 0

    # ---- how it ended

    cdef int connected(self, Dial dial, Transport transport) except -1:
        self.note_dial(dial.wants, -1)
        return self.on_dialed(dial, transport)

    cdef int connect_failed(self, Dial dial, FaultKind kind, int code) except -1:
        self.note_dial(dial.wants, -1)
        if self.has_another_way(dial, kind):
            self.dial_plain(dial)
            return self.note_dial(dial.wants, 1)
        if kind == FAULT_TLS and isinstance(dial.transport, TlsTransport):
            self.local.tell_failure(False, self.address, (<TlsTransport> dial.transport).failure())
        return self.on_dial_failed(dial, kind, code)

    cdef bint has_another_way(self, Dial dial, FaultKind kind):
        if kind != FAULT_REFUSED or self.other is None or dial.again or self.removed:
            return False
        dial.again = True
        # Of several dials that are refused at once only the first finds it not yet exchanged.
        if dial.where is self.at:
            self.at, self.other = self.other, self.at
        return True

    cdef bint was_told(self, Transport transport):
        """Whether a transport header is what the peer reads first."""
        return self.peer is not None and (<TlsTransport> transport).channel.has_header

    cdef int announce(self, Dial dial, Transport transport) except -1:
        """Where the peer agreed to it, says for which port the connection is: in front of the first bytes,
        and at once where the server may speak first."""
        cdef char header[TRANSPORT_HEADER_ROOM]
        cdef SessionProtocol protocol = SESSION_OPAQUE
        cdef size_t size
        if not self.was_told(transport):
            return 0
        if dial.wants != WANTS_TRANSPORT and not self.opaque:
            protocol = SESSION_HTTP2 if dial.wants == WANTS_HTTP2 else SESSION_HTTP1
        size = write_transport_header(header, TRANSPORT_HEADER_ROOM, self.address.port, NULL, 0, protocol)
        transport.send(header, size)
        return transport.flush_later()

    # ---- what the endpoint fills in

    cdef int on_dialed(self, Dial dial, Transport transport) except -1:
        raise NotImplementedError("Dialer.on_dialed")

    cdef int on_dial_failed(self, Dial dial, FaultKind kind, int code) except -1:
        raise NotImplementedError("Dialer.on_dial_failed")


cdef class Dial(Connecting):
    cdef int on_connected(self) except -1:
        cdef Dialer dialer = self.dialer
        self.dialer = None
        return dialer.connected(self, self.transport)

    cdef int on_connect_failed(self, FaultKind kind, int code) except -1:
        cdef Dialer dialer = self.dialer
        self.dialer = None
        return dialer.connect_failed(self, kind, code)
