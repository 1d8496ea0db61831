# cython: language_level=3
"""From accept to what a connection speaks: target (static port, original destination, or none), profile,
detection, TLS that is for us."""

from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.dns_name cimport DNS_NAME_MAX
from linkerd2_py._ext.core.fault cimport FAULT_TIMEOUT, FaultKind
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.detect.client_hello cimport HELLO_MORE, HELLO_NAME, HelloState, client_hello
from linkerd2_py._ext.detect.detect cimport (
    PROTO_HTTP1,
    PROTO_HTTP2,
    PROTO_MORE,
    PROTO_OPAQUE,
    PROTO_TLS,
    detect,
    may_ask,
)
from linkerd2_py._ext.detect.transport_header cimport (
    HEADER_MORE,
    HEADER_OK,
    SESSION_HTTP1,
    SESSION_HTTP2,
    HeaderState,
    read_transport_header,
)
from linkerd2_py._ext.exchange.error_response cimport error_of_fault
from linkerd2_py._ext.io.original_dst cimport original_dst
from linkerd2_py._ext.metrics.detection cimport (
    DETECTED_ERROR,
    DETECTED_HTTP1,
    DETECTED_HTTP2,
    DETECTED_NOT_HTTP,
    DETECTED_TIMEOUT,
)
from linkerd2_py._ext.metrics.http cimport (
    ERROR_GATEWAY,
    ERROR_IO,
    ERROR_PROTOCOL,
    ERROR_TLS,
    ERROR_TLS_DETECTION,
    ERROR_UNEXPECTED,
)
from linkerd2_py._ext.route.tally cimport Tally, new_tally, target_labels
from linkerd2_py._ext.route.asked_name cimport ASKED_MORE, ASKED_US, Asked, who_is_asked
from linkerd2_py._ext.tls.party cimport TAKES_HEADER, TAKES_NOTHING
from linkerd2_py._ext.tls.credentials cimport Credentials
from linkerd2_py._ext.tls.transport cimport TlsTransport

from linkerd2_py._ext.metrics.labels import make_labels

cdef enum:
    # What a client sent before we began to drain is here within that time; one that has sent nothing holds up
    # the end no longer.
    DRAIN_WAIT_NS = 100000000


cdef class Reception(Tunnels):

    cdef int on_accepted(self, Transport transport) except -1:
        cdef Target target = self.target
        cdef Address address
        if target is None:
            address = original_dst(transport.fd)
            if address is not None and not self.is_direct(transport, address):
                target = self.table.find(str(address).encode())
        return self.begin(transport, target)

    cdef bint is_direct(self, Transport transport, Address destination):
        """Whether it was addressed to this very listener, and not redirected here."""
        cdef Address local
        if self.identity is None:
            return False
        local = transport.local_address()
        return local is not None and local.same(destination)

    cdef int begin(self, Transport transport, Target target) except -1:
        if self.opaque and target is not None:
            return self.relay(transport, target, self.clients.skipped)
        if target is None:
            return self.detect(transport, None, self.clients.plain)
        if not target.configured:
            return self.await_profile(transport, target)
        target.counts().came()
        if target.opaque:
            return self.relay(transport, target, self.clients.skipped)
        return self.detect(transport, target, self.clients.plain)

    cdef int detect(self, Transport transport, Target target, Client client) except -1:
        cdef Arrival arrival = Arrival.__new__(Arrival)
        arrival.server = self
        arrival.target = target
        arrival.client = client
        return transport.attach(arrival)

    cdef int ask_name(self, Transport transport, Target target, Client client) except -1:
        cdef Arrival arrival = Arrival.__new__(Arrival)
        arrival.server = self
        arrival.target = target
        arrival.client = client
        arrival.stage = STAGE_NAME
        return transport.attach(arrival)

    cdef int take_over(self, Transport transport, Target target) except -1:
        if target.opaque:
            return self.relay(transport, target, self.clients.plain)
        return self.detect(transport, target, self.clients.plain)

    cdef Permission ask(self, Transport transport, Target target, Client client):
        if self.authorize is None or target is None:
            return None
        return self.permit(target, client, transport.peer_address())

    cdef int count(self, Transport transport, Target target, Client client, Permission permission) except -1:
        cdef bytes address = None if target is None else target.address_labels
        if transport.metrics is not None:
            return 0
        return transport.count_as(self.clients.counted(client, address, permission))

    cdef int failed(self, Transport transport, Target target, ResponseError error) except -1:
        cdef Address local
        cdef bytes address = b""
        if target is not None:
            return target.counts().tcp_failed(error)
        local = transport.local_address()
        if local is not None:
            address = make_labels(target_labels(local))
        return new_tally(self.table.registry, self.table.direction, b"", address, b"").tcp_failed(error)

    cdef Permission permit(self, Target target, Client client, Address peer):
        return None if self.authorize is None else self.authorize(client, peer, target.port)

    cdef int dispatch(self, Transport transport, Target target, Client client, Protocol protocol) except -1:
        raise NotImplementedError("Reception.dispatch")

    cdef int relay(self, Transport transport, Target target, Client client) except -1:
        raise NotImplementedError("Reception.relay")

    cdef int relay_as(self, Transport transport, Target target, Client client, bytes name) except -1:
        raise NotImplementedError("Reception.relay_as")

    cdef int await_profile(self, Transport transport, Target target) except -1:
        raise NotImplementedError("Reception.await_profile")


cdef class Arrival(Securing):

    cdef int on_attached(self) except -1:
        if self.stage == STAGE_HANDSHAKE:
            return 0
        self.timeout = Timer(self, 0)
        self.began = self.server.loop.now
        if self.target is not None and self.stage == STAGE_DETECT:
            self.target.counts().expect()
        self.wait()
        return self.look()

    cdef int wait(self) except -1:
        cdef int64_t patience = self.server.detect_timeout_ns
        if self.server.draining:
            patience = DRAIN_WAIT_NS
        elif self.target is not None and self.target.detect_timeout_ns:
            patience = self.target.detect_timeout_ns
        return self.server.loop.arm(self.timeout, self, patience)

    cdef int look(self) except -1:
        cdef Transport transport = self.transport
        if transport.inbox is None or transport.inbox.size() == 0:
            return 0
        if self.stage == STAGE_NAME:
            return self.look_for_server()
        return self.look_for_header() if self.stage == STAGE_HEADER else self.look_for_protocol()

    cdef int look_for_protocol(self) except -1:
        cdef Transport transport = self.transport
        cdef Protocol found = detect(transport.inbox.head(), transport.inbox.size())
        if found == PROTO_TLS and self.server.identity is not None and not self.client.secured:
            self.began_hello = True
            return self.look_for_name()
        if found == PROTO_MORE:
            return 0
        self.note(
            DETECTED_HTTP1 if found == PROTO_HTTP1 else
            DETECTED_HTTP2 if found == PROTO_HTTP2 else DETECTED_NOT_HTTP
        )
        return self.settle(found)

    cdef int note(self, Detected result) except -1:
        """What it speaks has been found out; where a header says so nobody looks."""
        cdef Tally tally
        if self.stage != STAGE_DETECT:
            return 0
        tally = self.server.table.unaddressed if self.target is None else self.target.counts()
        return tally.detected(result, self.server.loop.now - self.began)

    # ---- TLS that is for others, and follows routes

    cdef int look_for_server(self) except -1:
        cdef char[DNS_NAME_MAX] room
        cdef Span name
        cdef Buffer inbox = self.transport.inbox
        cdef HelloState state = client_hello(inbox.head(), inbox.size(), room, &name)
        if state == HELLO_MORE:
            return self.transport.widen_inbox()
        if state != HELLO_NAME:
            return self.refuse(ERROR_TLS_DETECTION)
        self.server.loop.disarm(self.timeout)
        # A silent client may take longer than an unused target is kept.
        self.target = self.server.table.current(self.target)
        return self.server.relay_as(self.transport, self.target, self.client, name.ptr[:name.len].lower())

    # ---- TLS that may be for us

    cdef int look_for_name(self) except -1:
        cdef Asked asked = who_is_asked(self.transport.inbox, self.server.identity)
        if asked == ASKED_MORE:
            return self.transport.widen_inbox()
        if asked == ASKED_US:
            return self.secure()
        self.note(DETECTED_NOT_HTTP)
        return self.settle(PROTO_OPAQUE)

    cdef int secure(self) except -1:
        cdef LocalIdentity identity = self.server.identity
        cdef Credentials credentials = identity.credentials
        self.server.loop.disarm(self.timeout)
        # While the socket still knows: a failure is told with who it was.
        self.transport.peer_address()
        if credentials is None:
            self.server.failed(self.transport, self.target, ERROR_TLS)
            return self.transport.abort()
        self.stage = STAGE_HANDSHAKE
        return (<TlsTransport> self.transport).secure(
            credentials, TAKES_HEADER if self.target is None else TAKES_NOTHING, self,
            self.server.detect_timeout_ns,
        )

    cdef int on_secured(self) except -1:
        cdef TlsTransport transport = <TlsTransport> self.transport
        self.client = self.server.clients.secured(transport.channel.peer)
        if self.target is not None:
            self.stage = STAGE_DETECT
        elif transport.channel.has_header and self.client.identity is not None:
            self.stage = STAGE_HEADER
        else:
            # To our own port, and it does not say where to, or who it is.
            return self.refuse_stranger(ERROR_UNEXPECTED)
        self.began = self.server.loop.now
        self.wait()
        return self.look()

    cdef int look_for_header(self) except -1:
        cdef Transport transport = self.transport
        cdef TransportHeader header
        cdef Buffer inbox = transport.inbox
        cdef HeaderState state = read_transport_header(inbox.head(), inbox.size(), &header)
        if state == HEADER_MORE:
            return transport.widen_inbox()
        if state != HEADER_OK:
            return self.refuse(ERROR_PROTOCOL)
        if header.name.len:
            # It is meant for a gateway, which this is not.
            return self.refuse(ERROR_GATEWAY)
        return self.follow_header(&header)

    cdef int follow_header(self, const TransportHeader* header) except -1:
        cdef Transport transport = self.transport
        cdef Address local = transport.local_address()
        cdef Protocol protocol = PROTO_OPAQUE
        if local is None:
            return self.close()
        transport.inbox.skip(header.size)
        self.server.clients.headed(self.client, header.port, header.protocol)
        self.target = self.server.table.find(str(Address(local.host, header.port)).encode())
        if header.protocol == SESSION_HTTP1:
            protocol = PROTO_HTTP1
        elif header.protocol == SESSION_HTTP2:
            protocol = PROTO_HTTP2
        return self.settle(protocol)

    cdef int refuse(self, ResponseError why) except -1:
        self.server.loop.disarm(self.timeout)
        self.server.failed(self.transport, self.target, why)
        self.server.count(self.transport, self.target, self.client, None)
        return self.transport.abort()

    cdef int refuse_stranger(self, ResponseError why) except -1:
        if self.server.on_stranger is not None:
            self.server.on_stranger(self.transport.peer_address())
        return self.refuse(why)

    # ---- the rest

    cdef int settle(self, Protocol found) except -1:
        """Enough is known: the transport gets its real session, with all bytes still in the inbox."""
        cdef Reception server = self.server
        server.loop.disarm(self.timeout)
        if self.target is not None:
            # A silent client may take longer than an unused target is kept.
            self.target = server.table.current(self.target)
            if self.target.only_http and found != PROTO_HTTP2:
                # The parser says what is wrong with it; TLS of others is no HTTP either.
                found = PROTO_HTTP1
        elif server.identity is not None:
            # Our own port: what comes there is secured and has a header.
            return self.refuse_stranger(ERROR_TLS_DETECTION if self.is_empty() else ERROR_UNEXPECTED)
        return server.dispatch(self.transport, self.target, self.client, found)

    cdef int on_readable(self) except -1:
        return self.look()

    cdef int on_read_eof(self) except -1:
        """A client that sends nothing and says so may still want to hear the server: it goes where it was
        addressed, end and all."""
        if self.stage == STAGE_NAME:
            return self.refuse(ERROR_TLS_DETECTION)
        if self.stage == STAGE_HEADER or (self.is_empty() and (self.target is None or self.server.draining)):
            self.note(DETECTED_ERROR)
            return self.close()
        self.note(DETECTED_NOT_HTTP)
        return self.settle(PROTO_OPAQUE)

    cdef bint may_ask(self) noexcept:
        return not self.is_empty() and may_ask(self.transport.inbox.head(), self.transport.inbox.size())

    cdef bint is_empty(self) noexcept:
        return self.transport.inbox is None or self.transport.inbox.size() == 0

    cdef int on_timer(self, Timer timer) except -1:
        """A client that waits for the server to speak first, or for nothing, is opaque from here on, but
        nothing new begins while draining. One that has begun what may be a request goes on with it: it is not
        to decide by waiting how it is read."""
        if self.transport is None:
            return 0
        if self.server.draining and self.is_empty():
            return self.close()
        if self.stage == STAGE_HEADER:
            return self.refuse(ERROR_IO)
        if self.stage == STAGE_NAME or (self.began_hello and not self.client.secured):
            # A hello that stalls is no protocol where the server speaks first.
            return self.refuse(ERROR_TLS_DETECTION)
        self.note(DETECTED_TIMEOUT)
        return self.settle(PROTO_HTTP1 if self.may_ask() else PROTO_OPAQUE)

    cdef int hasten(self) except -1:
        """The server drains: what the client has sent is on its way to us, or it has sent nothing."""
        return 0 if self.stage == STAGE_HANDSHAKE else self.server.loop.arm(self.timeout, self, DRAIN_WAIT_NS)

    cdef int on_drained(self) except -1:
        return 0

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        self.server.loop.disarm(self.timeout)
        self.note(DETECTED_ERROR)
        if self.stage == STAGE_HANDSHAKE:
            late = kind == FAULT_TIMEOUT
            self.server.failed(
                self.transport, self.target, ERROR_TLS_DETECTION if late else error_of_fault(kind),
            )
            failure = (<TlsTransport> self.transport).failure()
            self.server.identity.tell_failure(True, self.transport.peer_address(), failure)
        return 0

    cdef int close(self) except -1:
        self.server.loop.disarm(self.timeout)
        return self.transport.close()
