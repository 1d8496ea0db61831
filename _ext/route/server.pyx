# cython: language_level=3
"""From accept to codec, in order: target (static port, original destination, or none) -> profile -> detection -> HTTP/1, HTTP/2 or opaque."""

from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.detect.detect cimport PROTO_HTTP1, PROTO_HTTP2, PROTO_MORE, PROTO_OPAQUE, Protocol, detect
from linkerd2_py._ext.exchange.backend cimport WANTS_TRANSPORT, Unavailable
from linkerd2_py._ext.http1.server cimport Http1Server
from linkerd2_py._ext.http2.server cimport Http2Server
from linkerd2_py._ext.io.listener cimport Listener
from linkerd2_py._ext.io.original_dst cimport original_dst
from linkerd2_py._ext.io.pump cimport pump_between
from linkerd2_py._ext.io.transport cimport PAUSE_PARKED, Address, SocketOptions
from linkerd2_py._ext.metrics.labels import make_labels
from linkerd2_py._ext.route.target import NO_TLS

cdef enum:
    DETECT_BYTES = 1024       # linkerd2-proxy's peek; undecided after so many is opaque
    MAX_ATTEMPTS = 4
    DRAIN_WAIT_NS = 100000000


cdef class Doorway(Accepting):
    cdef int on_accepted(self, Transport transport) except -1:
        return self.server.on_accepted(transport)


cdef class ProxyServer(Tunnels):
    """One proxy server. `target` fixes where everything goes; without it the original destination decides, else each request's authority."""

    def __init__(self, Loop loop not None, TargetTable table not None, *, str direction, Limits limits=None, detect_timeout_ns=10_000_000_000, Target target=None,
                 bint opaque=False, bint orig_proto=False, bint informational_headers=True, bint authority_labels=False, tuple tcp_labels=(), int default_port=80):
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
        self.tcp = table.registry.tcp(make_labels([("direction", direction), ("peer", "src"), *NO_TLS, *tcp_labels]))

    def listen(self, str host not None, int port, *, int backlog=4096, SocketOptions options=None, bint hold=False):
        """Binds and accepts; with `hold` from `start` on. Port 0 picks a free one. Returns the actual Address; raises OSError naming it when it is taken."""
        cdef Doorway doorway = Doorway.__new__(Doorway)
        doorway.server = self
        listener = Listener(self.loop, (host, port), doorway, SocketOptions() if options is None else options, self.tcp, backlog, hold)
        self.listeners.append(listener)
        return listener.address

    cdef int on_accepted(self, Transport transport) except -1:
        cdef Target target = self.target
        cdef Address address
        if target is None:
            address = original_dst(transport.fd)
            if address is not None:
                target = self.table.find(str(address).encode())
        return self.begin(transport, target)

    cdef int begin(self, Transport transport, Target target) except -1:
        cdef OpaqueConnection connection
        if self.opaque and target is not None:
            return self.relay(transport, target)
        if target is None:
            return self.detect(transport, None)
        if target.configured and not target.opaque:
            return self.detect(transport, target)
        connection = self.park(transport, target)
        return target.await_profile(connection)

    cdef int detect(self, Transport transport, Target target) except -1:
        cdef Arrival arrival = Arrival.__new__(Arrival)
        arrival.server = self
        arrival.target = target
        transport.attach(arrival)
        return self.drain_session(transport.session) if self.draining and transport.session is arrival else 0

    cdef int serve(self, Transport transport, Target target, int protocol) except -1:
        """Puts the codec on the transport; its router makes the exchanges."""
        cdef ConnectionRouter router = self.router_for(target)
        cdef Http1Server codec
        if protocol == PROTO_HTTP1:
            codec = Http1Server(router, self.limits)
            codec.informational = self.informational
            transport.attach(codec)
        else:
            transport.attach(Http2Server(router, self.limits))
        return self.drain_session(transport.session) if self.draining else 0

    cdef ConnectionRouter router_for(self, Target target):
        cdef ConnectionRouter router
        if target is not None:
            router = target.routers.get(self)
            if router is not None:
                return router
        router = ConnectionRouter.__new__(ConnectionRouter)
        router.loop = self.loop
        router.outbound = self.outbound
        router.informational = self.informational
        router.accept_orig_proto = self.orig_proto
        router.table = self.table
        router.fixed = target
        router.tunnels = self
        router.default_port = self.default_port
        router.authority_labels = self.authority_labels
        if router.is_shareable() and not target.closed:
            target.routers[self] = router
        return router

    cdef int relay(self, Transport transport, Target target) except -1:
        return target.choose(self.park(transport, target))

    cdef OpaqueConnection park(self, Transport transport, Target target):
        cdef OpaqueConnection connection = OpaqueConnection.__new__(OpaqueConnection)
        cdef Parked parked = Parked.__new__(Parked)
        connection.server = self
        connection.target = target
        connection.client = transport
        parked.connection = connection
        target.live += 1
        self.opaque_connections.add(connection)
        transport.pause(PAUSE_PARKED)
        transport.attach(parked)
        return connection

    cdef int take_over(self, Transport transport, Target target) except -1:
        return self.detect(transport, target)

    cdef int tunnel(self, Transport client, Transport server, Target target) except -1:
        cdef OpaqueConnection connection = self.park(client, target)
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


cdef class Arrival(Session):

    cdef int on_attached(self) except -1:
        self.timeout = Timer(self, 0)
        self.server.loop.arm(self.timeout, self, self.server.detect_timeout_ns)
        return self.look()

    cdef int look(self) except -1:
        cdef Transport transport = self.transport
        cdef Protocol found = PROTO_MORE
        if transport.inbox is not None and transport.inbox.size():
            found = detect(transport.inbox.head(), transport.inbox.size())
            if found == PROTO_MORE and transport.inbox.size() >= DETECT_BYTES:
                found = PROTO_OPAQUE
        return 0 if found == PROTO_MORE else self.settle(found)

    cdef int settle(self, Protocol found) except -1:
        """The protocol is known: the transport gets its real session, with all bytes still in the inbox."""
        cdef ProxyServer server = self.server
        cdef Transport transport = self.transport
        server.loop.disarm(self.timeout)
        if self.target is not None:
            # A silent client may take longer than an unused target is kept.
            self.target = server.table.current(self.target)
        if found == PROTO_HTTP1 or found == PROTO_HTTP2:
            return server.serve(transport, self.target, found)
        if self.target is None:
            # Bytes that name no target, to a port that has none: there is nowhere to send them.
            return transport.abort()
        return server.relay(transport, self.target)

    cdef int on_readable(self) except -1:
        return self.look()

    cdef int on_read_eof(self) except -1:
        """A client that sends nothing and says so may still want to hear the server: it goes where it was addressed, end and all."""
        if self.is_empty() and (self.target is None or self.server.draining):
            return self.close()
        return self.settle(PROTO_OPAQUE)

    cdef bint is_empty(self) noexcept:
        return self.transport.inbox is None or self.transport.inbox.size() == 0

    cdef int on_timer(self, Timer timer) except -1:
        """A client that waits for the server to speak first, or for nothing: opaque from here on, but nothing new begins while draining."""
        if self.transport is None:
            return 0
        if self.server.draining and self.is_empty():
            return self.close()
        return self.settle(PROTO_OPAQUE)

    cdef int hasten(self) except -1:
        """The server drains: what the client has sent is on its way to us, or it has sent nothing."""
        return self.server.loop.arm(self.timeout, self, DRAIN_WAIT_NS)

    cdef int on_drained(self) except -1:
        return 0

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        self.server.loop.disarm(self.timeout)
        return 0

    cdef int close(self) except -1:
        self.server.loop.disarm(self.timeout)
        return self.transport.close()


cdef class OpaqueConnection(Waiter):

    cdef int on_profile(self, bint opaque) except -1:
        if self.over:
            return 0
        if opaque:
            return self.target.choose(self)
        transport, server, target = self.client, self.server, self.target
        self.end()
        (<ProxyServer> server).detect(transport, target)
        return (<Transport> transport).resume(PAUSE_PARKED)

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
            self.backend.cancel()
        self.server.opaque_connections.discard(self)
        self.backend = None
        self.client = None
        self.pump = None
        self.server = None
        return 0


cdef class Parked(Session):
    cdef int on_fault(self, FaultKind kind, int code) except -1:
        return self.connection.end()


cdef class PumpEnd(PumpOwner):
    cdef int on_pump_closed(self, Pump pump, FaultKind kind, int code) except -1:
        return self.connection.end()
