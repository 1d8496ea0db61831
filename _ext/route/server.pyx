# cython: language_level=3
"""From accept to codec, in order: target (static port, original destination, or none) -> profile -> detection -> HTTP/1, HTTP/2 or opaque."""

from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.core.dns_name cimport DNS_NAME_MAX, same_name
from linkerd2_py._ext.core.fault cimport is_ours
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.detect.client_hello cimport HELLO_MORE, HELLO_NAME, HelloState, client_hello
from linkerd2_py._ext.detect.detect cimport PROTO_HTTP1, PROTO_HTTP2, PROTO_MORE, PROTO_OPAQUE, PROTO_TLS, Protocol, detect, may_ask
from linkerd2_py._ext.detect.transport_header cimport HEADER_MORE, HEADER_OK, SESSION_HTTP1, SESSION_HTTP2, HeaderState, read_transport_header
from linkerd2_py._ext.exchange.backend cimport WANTS_TRANSPORT, Unavailable
from linkerd2_py._ext.http1.server cimport Http1Server
from linkerd2_py._ext.http2.server cimport Http2Server
from linkerd2_py._ext.io.address cimport Address, SocketOptions
from linkerd2_py._ext.io.listener cimport Listener
from linkerd2_py._ext.io.original_dst cimport original_dst
from linkerd2_py._ext.io.pump cimport pump_between
from linkerd2_py._ext.io.transport cimport PAUSE_PARKED
from linkerd2_py._ext.tls.credentials cimport Credentials
from linkerd2_py._ext.tls.transport cimport TlsTransport

from linkerd2_py._ext.metrics.labels import make_labels
from linkerd2_py._ext.route.target import NO_TLS

SKIPPED = (("tls", "no_identity"), ("no_tls_reason", "port_skipped"))

cdef enum:
    CLIENTS_MAX = 4096
    MAX_ATTEMPTS = 4
    DRAIN_WAIT_NS = 100000000


cdef class Doorway(Accepting):
    cdef Transport new_transport(self):
        return Transport.__new__(Transport) if self.server.identity is None else TlsTransport.__new__(TlsTransport)

    cdef int on_accepted(self, Transport transport) except -1:
        return self.server.on_accepted(transport)


cdef class ProxyServer(Tunnels):
    """One proxy server. `target` fixes where everything goes; without it the original destination decides, else each request's authority."""

    def __init__(self, Loop loop not None, TargetTable table not None, *, str direction, Limits limits=None, detect_timeout_ns=10_000_000_000, Target target=None,
                 bint opaque=False, bint orig_proto=False, bint informational_headers=True, bint authority_labels=False, tuple tcp_labels=(), int default_port=80,
                 LocalIdentity identity=None, object authorize=None, tuple no_tls=NO_TLS):
        self.loop = loop
        self.table = table
        self.target = target
        self.limits = Limits() if limits is None else limits
        self.detect_timeout_ns = detect_timeout_ns
        self.outbound = direction == "outbound"
        self.opaque = opaque
        self.orig_proto = orig_proto
        self.informational = informational_headers
        self.authority_labels = authority_labels
        self.default_port = default_port
        self.listeners = []
        self.opaque_connections = set()
        self.identity = identity
        self.authorize = authorize
        self.tcp_labels = tcp_labels
        self.clients = {}
        self.plain = self.make_client(None, False, no_tls)
        self.skipped = self.plain if identity is None else self.make_client(None, False, SKIPPED)

    cdef Client make_client(self, str identity, bint secured, tuple tls):
        labels = [("direction", self.table.direction), ("peer", "src"), *tls, *self.tcp_labels]
        return Client(identity=identity, secured=secured, labels=tls, tcp=self.table.registry.tcp(make_labels(labels)))

    cdef Client client_of(self, bytes identity):
        cdef Client client = self.clients.get(identity)
        if client is None:
            if len(self.clients) >= CLIENTS_MAX:
                self.clients.clear()
            name = None if identity is None else identity.decode("ascii", "replace")
            client = self.clients[identity] = self.make_client(name, True, (("tls", "true"), ("client_id", name or "")))
        return client

    cdef Permission ask(self, Transport transport, Target target, Client client):
        if self.authorize is None or target is None:
            return None
        return self.permit(target, client, transport.peer_address())

    cdef Permission permit(self, Target target, Client client, Address peer):
        return None if self.authorize is None else self.authorize(client, peer, target.port)

    def listen(self, str host not None, int port, *, int backlog=4096, SocketOptions options=None, bint hold=False):
        """Binds and accepts; with `hold` from `start` on. Port 0 picks a free one. Returns the actual Address; raises OSError naming it when it is taken."""
        cdef Doorway doorway = Doorway.__new__(Doorway)
        doorway.server = self
        # What comes is counted with what it turns out to be.
        tcp = self.plain.tcp if self.identity is None else None
        listener = Listener(self.loop, (host, port), doorway, SocketOptions() if options is None else options, tcp, backlog, hold)
        listener.on_exhausted = self.on_exhausted
        self.listeners.append(listener)
        return listener.address

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
        cdef OpaqueConnection connection
        if self.opaque and target is not None:
            return self.relay(transport, target, self.skipped)
        if target is None or (target.configured and not target.opaque):
            return self.detect(transport, target, self.plain)
        connection = self.park(transport, target, self.skipped)
        return target.await_profile(connection)

    cdef int detect(self, Transport transport, Target target, Client client) except -1:
        cdef Arrival arrival = Arrival.__new__(Arrival)
        arrival.server = self
        arrival.target = target
        arrival.client = client
        transport.attach(arrival)
        return self.drain_session(transport.session) if self.draining and transport.session is arrival else 0

    cdef int dispatch(self, Transport transport, Target target, Client client, Protocol protocol) except -1:
        if protocol == PROTO_HTTP1 or protocol == PROTO_HTTP2:
            return self.serve(transport, target, client, protocol)
        if target is None:
            # Bytes that name no target, to a port that has none: there is nowhere to send them.
            return transport.abort()
        return self.relay(transport, target, client)

    cdef int serve(self, Transport transport, Target target, Client client, Protocol protocol) except -1:
        """Puts the codec on the transport; its router makes the exchanges."""
        cdef ConnectionRouter router = self.router_for(target, client, self.ask(transport, target, client))
        cdef Http1Server codec
        if target is None and self.authorize is not None:
            router.peer = transport.peer_address()
        transport.count_as(client.tcp)
        if protocol == PROTO_HTTP1:
            codec = Http1Server(router, self.limits)
            codec.informational = router.informational
            transport.attach(codec)
        else:
            transport.attach(Http2Server(router, self.limits, proven=client.identity is not None))
        return self.drain_session(transport.session) if self.draining else 0

    cdef ConnectionRouter router_for(self, Target target, Client client, Permission permission):
        cdef ConnectionRouter router
        if target is not None:
            router = target.last_router
            if router is not None and router.tunnels is self and router.client is client and router.permission is permission:
                return router
            router = target.routers.get((client, permission))
            if router is not None:
                target.last_router = router
                return router
        router = ConnectionRouter.__new__(ConnectionRouter)
        router.loop = self.loop
        router.outbound = self.outbound
        # A stranger learns nothing from our own errors.
        router.informational = self.informational and (self.outbound or client.identity is not None)
        # Where peers prove who they are, a stranger is no proxy.
        router.accept_orig_proto = self.orig_proto and (self.identity is None or client.identity is not None)
        router.table = self.table
        router.fixed = target
        router.tunnels = self
        router.client = client
        router.permission = permission
        router.default_port = self.default_port
        router.authority_labels = self.authority_labels
        if router.is_shareable() and not target.closed:
            target.routers[client, permission] = target.last_router = router
        return router

    cdef int relay(self, Transport transport, Target target, Client client) except -1:
        cdef Permission permission = self.ask(transport, target, client)
        transport.count_as(client.tcp)
        if permission is not None:
            permission.count_connection()
            if permission.refusal is not None:
                return transport.abort()
        return target.choose(self.park(transport, target, client))

    cdef OpaqueConnection park(self, Transport transport, Target target, Client client):
        cdef OpaqueConnection connection = OpaqueConnection.__new__(OpaqueConnection)
        cdef Parked parked = Parked.__new__(Parked)
        connection.server = self
        connection.target = target
        connection.sender = client
        connection.client = transport
        parked.connection = connection
        target.live += 1
        self.opaque_connections.add(connection)
        transport.pause(PAUSE_PARKED)
        transport.attach(parked)
        return connection

    cdef int take_over(self, Transport transport, Target target) except -1:
        return self.detect(transport, target, self.plain)

    cdef int tunnel(self, Transport client, Transport server, Target target) except -1:
        cdef OpaqueConnection connection = self.park(client, target, self.plain)
        return connection.join(server)

    # ---- from the shell

    def start(self):
        """Accepts on the listeners that were held. Idempotent."""
        for listener in self.listeners:
            listener.start()

    @property
    def open_connections(self):
        """Connections of clients that are open now."""
        return len(self.opaque_connections) + sum(1 for _ in self.sessions())

    def drain(self):
        """Closes the listeners; connections of which nothing came yet get a moment; idle HTTP/1 connections close, busy ones say `connection: close`; HTTP/2 says GOAWAY; opaque ones go on."""
        self.draining = True
        self.loop.now = now_ns()
        for listener in self.listeners:
            listener.close()
        self.listeners = []
        for session in self.sessions():
            self.drain_session(session)

    cdef int drain_session(self, Session session) except -1:
        if isinstance(session, Http1Server):
            return (<Http1Server> session).drain()
        if isinstance(session, Http2Server):
            return (<Http2Server> session).drain()
        return (<Arrival> session).hasten() if isinstance(session, Arrival) else 0

    def abort_all(self):
        """Ends what the grace period did not; exchanges under way are told."""
        for connection in list(self.opaque_connections):
            (<OpaqueConnection> connection).fail()
        for session in self.sessions():
            (<Session> session).transport.on_broken()

    def sessions(self):
        """The sessions on transports that came in through this server."""
        found = []
        for source in self.loop.sources:
            if isinstance(source, Transport) and self.owns((<Transport> source).session):
                found.append((<Transport> source).session)
        return found

    cdef bint owns(self, Session session):
        if isinstance(session, Http1Server):
            return self.routes((<Http1Server> session).dispatch)
        if isinstance(session, Http2Server):
            return self.routes((<Http2Server> session).dispatch)
        return isinstance(session, Arrival) and (<Arrival> session).server is self

    cdef bint routes(self, object dispatch):
        return isinstance(dispatch, ConnectionRouter) and (<ConnectionRouter> dispatch).tunnels is self


cdef class Arrival(Securing):

    cdef int on_attached(self) except -1:
        if self.stage == STAGE_HANDSHAKE:
            return 0
        self.timeout = Timer(self, 0)
        self.wait()
        return self.look()

    cdef int wait(self) except -1:
        return self.server.loop.arm(self.timeout, self, DRAIN_WAIT_NS if self.server.draining else self.server.detect_timeout_ns)

    cdef int look(self) except -1:
        cdef Transport transport = self.transport
        if transport.inbox is None or transport.inbox.size() == 0:
            return 0
        return self.look_for_header() if self.stage == STAGE_HEADER else self.look_for_protocol()

    cdef int look_for_protocol(self) except -1:
        cdef Transport transport = self.transport
        cdef Protocol found = detect(transport.inbox.head(), transport.inbox.size())
        if found == PROTO_TLS and self.server.identity is not None and not self.client.secured:
            self.began_hello = True
            return self.look_for_name()
        return 0 if found == PROTO_MORE else self.settle(found)

    # ---- TLS that may be for us

    cdef int look_for_name(self) except -1:
        cdef Transport transport = self.transport
        cdef LocalIdentity identity = self.server.identity
        cdef char room[DNS_NAME_MAX]
        cdef Span name
        cdef HelloState state = client_hello(transport.inbox.head(), transport.inbox.size(), room, &name)
        if state == HELLO_MORE:
            return transport.widen_inbox()
        if state == HELLO_NAME and same_name(name, identity.raw_name, len(identity.raw_name)):
            return self.secure()
        return self.settle(PROTO_OPAQUE)

    cdef int secure(self) except -1:
        cdef LocalIdentity identity = self.server.identity
        cdef Credentials credentials = identity.credentials
        self.server.loop.disarm(self.timeout)
        # While the socket still knows: a failure is told with who it was.
        self.transport.peer_address()
        if credentials is None:
            return self.transport.abort()
        self.stage = STAGE_HANDSHAKE
        return (<TlsTransport> self.transport).secure(credentials, self.target is None, self, self.server.detect_timeout_ns)

    cdef int on_secured(self) except -1:
        cdef TlsTransport transport = <TlsTransport> self.transport
        self.client = self.server.client_of(transport.channel.peer)
        if self.target is not None:
            self.stage = STAGE_DETECT
        elif transport.channel.has_header and self.client.identity is not None:
            self.stage = STAGE_HEADER
        else:
            # To our own port, and it does not say where to, or who it is.
            return self.refuse()
        self.wait()
        return self.look()

    cdef int look_for_header(self) except -1:
        cdef Transport transport = self.transport
        cdef TransportHeader header
        cdef HeaderState state = read_transport_header(transport.inbox.head(), transport.inbox.size(), &header)
        if state == HEADER_MORE:
            return transport.widen_inbox()
        # A name is meant for a gateway, which this is not.
        if state != HEADER_OK or header.name.len:
            return self.refuse()
        return self.follow_header(&header)

    cdef int follow_header(self, const TransportHeader* header) except -1:
        cdef Transport transport = self.transport
        cdef Address local = transport.local_address()
        cdef Protocol protocol = PROTO_OPAQUE
        if local is None:
            return self.close()
        transport.inbox.skip(header.size)
        self.target = self.server.table.find(str(Address(local.host, header.port)).encode())
        if header.protocol == SESSION_HTTP1:
            protocol = PROTO_HTTP1
        elif header.protocol == SESSION_HTTP2:
            protocol = PROTO_HTTP2
        return self.settle(protocol)

    cdef int refuse(self) except -1:
        self.server.loop.disarm(self.timeout)
        self.transport.count_as(self.client.tcp)
        return self.transport.abort()

    # ---- the rest

    cdef int settle(self, Protocol found) except -1:
        """Enough is known: the transport gets its real session, with all bytes still in the inbox."""
        cdef ProxyServer server = self.server
        server.loop.disarm(self.timeout)
        if self.target is not None:
            # A silent client may take longer than an unused target is kept.
            self.target = server.table.current(self.target)
            if found == PROTO_OPAQUE and self.target.only_http:
                # The parser says what is wrong with it.
                found = PROTO_HTTP1
        elif server.identity is not None:
            # Our own port: what comes there is secured and has a header.
            return self.refuse()
        return server.dispatch(self.transport, self.target, self.client, found)

    cdef int on_readable(self) except -1:
        return self.look()

    cdef int on_read_eof(self) except -1:
        """A client that sends nothing and says so may still want to hear the server: it goes where it was addressed, end and all."""
        if self.stage == STAGE_HEADER or (self.is_empty() and (self.target is None or self.server.draining)):
            return self.close()
        return self.settle(PROTO_OPAQUE)

    cdef bint may_ask(self) noexcept:
        return not self.is_empty() and may_ask(self.transport.inbox.head(), self.transport.inbox.size())

    cdef bint is_empty(self) noexcept:
        return self.transport.inbox is None or self.transport.inbox.size() == 0

    cdef int on_timer(self, Timer timer) except -1:
        """A client that waits for the server to speak first, or for nothing: opaque from here on, but nothing new begins while draining.
        One that has begun what may be a request goes on with it: it is not to decide by waiting how it is read."""
        if self.transport is None:
            return 0
        if self.server.draining and self.is_empty():
            return self.close()
        if self.stage == STAGE_HEADER:
            return self.refuse()
        if self.began_hello and not self.client.secured:
            # A hello that stalls is no protocol where the server speaks first.
            return self.refuse()
        return self.settle(PROTO_HTTP1 if self.may_ask() else PROTO_OPAQUE)

    cdef int hasten(self) except -1:
        """The server drains: what the client has sent is on its way to us, or it has sent nothing."""
        return 0 if self.stage == STAGE_HANDSHAKE else self.server.loop.arm(self.timeout, self, DRAIN_WAIT_NS)

    cdef int on_drained(self) except -1:
        return 0

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        self.server.loop.disarm(self.timeout)
        if self.stage == STAGE_HANDSHAKE:
            self.server.identity.tell_failure(True, self.transport.peer_address(), (<TlsTransport> self.transport).failure())
        return 0

    cdef int close(self) except -1:
        self.server.loop.disarm(self.timeout)
        return self.transport.close()


cdef class OpaqueConnection(Waiter):

    cdef int on_profile(self, bint opaque) except -1:
        if self.over:
            return 0
        if opaque:
            return self.admit()
        transport, server, target = self.client, self.server, self.target
        self.end()
        (<ProxyServer> server).detect(transport, target, (<ProxyServer> server).plain)
        return (<Transport> transport).resume(PAUSE_PARKED)

    cdef int admit(self) except -1:
        """Opaque after all: policy may still refuse."""
        cdef Permission permission = self.server.ask(self.client, self.target, self.sender)
        self.client.count_as(self.sender.tcp)
        if permission is not None:
            permission.count_connection()
            if permission.refusal is not None:
                return self.fail()
        return self.target.choose(self)

    cdef int on_backend(self, Backend backend) except -1:
        if self.over:
            return 0
        self.backend = backend
        self.attempts += 1
        self.dispatched = self.server.loop.now
        backend.begin()
        self.pending = True
        return backend.serve(self, WANTS_TRANSPORT)

    cdef int on_unavailable(self, Unavailable why, int status, bytes text) except -1:
        return self.fail()

    cdef int on_backend_failed(self, FaultKind kind, int code) except -1:
        if self.over:
            return 0
        self.backend.cancel()
        self.pending = False
        if not is_ours(kind):
            self.backend.fail(1.0, self.dispatched, 0, self.server.loop.now)
        if self.backend.alone or self.attempts >= MAX_ATTEMPTS:
            return self.fail()
        self.backend = None
        return self.target.choose(self)

    cdef int on_transport(self, Transport transport) except -1:
        cdef int64_t now
        if self.over:
            return transport.abort()
        now = self.server.loop.now
        # Load of an opaque endpoint: its connect time as the estimate, its open connections as what is pending.
        self.backend.complete(now - self.dispatched, now)
        self.backend.begin()
        return self.join(transport)

    cdef int join(self, Transport transport) except -1:
        cdef PumpEnd end = PumpEnd.__new__(PumpEnd)
        end.connection = self
        self.pump = pump_between(self.client, transport, end)
        return self.pump.start()

    cdef int on_broken(self) except -1:
        return self.fail()

    cdef int fail(self) except -1:
        """No byte was answered: the client sees RST."""
        cdef Transport client = self.client
        cdef Pump pump = self.pump
        if self.over:
            return 0
        self.end()
        if pump is not None:
            return pump.stop()
        return client.abort()

    cdef int end(self) except -1:
        if self.over:
            return 0
        self.over = True
        self.target.withdraw(self)
        self.target.live -= 1
        self.target.last_used = self.server.loop.now
        if self.pending:
            self.pending = False
            self.tell_end(self.server.loop.now)
        self.server.opaque_connections.discard(self)
        self.backend = None
        self.client = None
        self.pump = None
        self.server = None
        return 0


    cdef int tell_end(self, int64_t now) except -1:
        """An endpoint that ends a connection before it has said a word has failed it; the rest is between the two ends."""
        if self.pump is None:
            return self.backend.give_up(now - self.dispatched, now)
        self.backend.cancel()
        if not self.pump.server_silent:
            self.backend.succeed(self.dispatched, now)
        elif self.pump.server_first:
            self.backend.fail(1.0, self.dispatched, 0, now)
        return 0


cdef class Parked(Session):
    cdef int on_fault(self, FaultKind kind, int code) except -1:
        return self.connection.end()


cdef class PumpEnd(PumpOwner):
    cdef int on_pump_closed(self, Pump pump, FaultKind kind, int code) except -1:
        return self.connection.end()
