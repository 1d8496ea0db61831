# cython: language_level=3
"""The listener's side of a proxy server, and HTTP: which codec and which router a connection gets."""

from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.detect.detect cimport PROTO_HTTP1, PROTO_HTTP2
from linkerd2_py._ext.http1.server cimport Http1Server
from linkerd2_py._ext.http2.server cimport Http2Server
from linkerd2_py._ext.io.address cimport SocketOptions
from linkerd2_py._ext.io.listener cimport Listener
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.route.arrival cimport Arrival
from linkerd2_py._ext.metrics.http cimport ERROR_NONE, ERROR_NO_ROUTE
from linkerd2_py._ext.route.client cimport Clients
from linkerd2_py._ext.route.opaque cimport OpaqueConnection
from linkerd2_py._ext.route.target_table cimport TargetTable
from linkerd2_py._ext.tls.identity cimport LocalIdentity
from linkerd2_py._ext.tls.transport cimport TlsTransport

from linkerd2_py._ext.route.endpoint_spec import NO_TLS


cdef class Doorway(Accepting):
    cdef Transport new_transport(self):
        if self.server.identity is None:
            return Transport.__new__(Transport)
        return TlsTransport.__new__(TlsTransport)

    cdef int on_accepted(self, Transport transport) except -1:
        return self.server.on_accepted(transport)


cdef class ProxyServer(Relay):
    """One proxy server. `target` fixes where everything goes; without it the original destination decides,
    else each request's authority."""

    def __init__(
        self, Loop loop not None, TargetTable table not None, *, str direction, Limits limits=None,
        detect_timeout_ns=10_000_000_000, Target target=None, bint opaque=False, bint orig_proto=False,
        bint informational_headers=True, bint authority_labels=False, tuple tcp_labels=(),
        int default_port=80, LocalIdentity identity=None, object authorize=None, tuple no_tls=NO_TLS,
        bint tells_names=False,
    ):
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
        self.tells_names = tells_names
        self.default_port = default_port
        self.listeners = []
        self.identity = identity
        self.authorize = authorize
        self.clients = Clients(table.registry, table.direction, tcp_labels, no_tls, identity is not None)

    # ---- HTTP

    cdef int dispatch(self, Transport transport, Target target, Client client, Protocol protocol) except -1:
        if protocol == PROTO_HTTP1 or protocol == PROTO_HTTP2:
            return self.serve(transport, target, client, protocol)
        if target is None:
            # Bytes that name no target, to a port that has none: there is nowhere to send them.
            self.failed(transport, None, ERROR_NO_ROUTE)
            return transport.abort()
        return self.relay(transport, target, client)

    cdef int serve(self, Transport transport, Target target, Client client, Protocol protocol) except -1:
        """Puts the codec on the transport; its router makes the exchanges."""
        cdef ConnectionRouter router = self.router_for(target, client, self.ask(transport, target, client))
        cdef Http1Server codec
        if target is None and self.authorize is not None:
            router.peer = transport.peer_address()
        transport.count_as(router.tcp)
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
            if (
                router is not None and router.tunnels is self
                and router.client is client and router.permission is permission
            ):
                return router
            router = target.routers.get((client, permission))
            if router is not None:
                target.last_router = router
                return router
        router = self.new_router(target, client, permission)
        if router.is_shareable() and not target.closed:
            target.routers[client, permission] = target.last_router = router
        return router

    cdef ConnectionRouter new_router(self, Target target, Client client, Permission permission):
        cdef ConnectionRouter router = ConnectionRouter.__new__(ConnectionRouter)
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
        address = None if target is None else target.address_labels
        router.named = self.table.named
        router.tcp = self.clients.counted(client, address, permission)
        router.default_port = self.default_port
        router.authority_labels = self.authority_labels
        router.tells_names = self.tells_names
        if self.seeker is not None:
            router.seeker = self.seeker
        router.complaints = self.complaints
        return router

    cdef int say(self, Target target, int status, bytes text) except -1:
        if self.complaints is None:
            return 0
        return self.complaints.say(target, None, status, text, len(text))

    # ---- listeners

    def listen(
        self, str host not None, int port, *, int backlog=4096, SocketOptions options=None, bint hold=False,
    ):
        """Binds and accepts; with `hold` from `start` on. Port 0 picks a free one. Returns the actual
        Address; raises OSError naming it when it is taken."""
        cdef Doorway doorway = Doorway.__new__(Doorway)
        doorway.server = self
        # Else what comes is counted with what it turns out to be.
        tcp = None
        if self.identity is None and self.outbound:
            tcp = self.clients.counted(self.clients.plain, None, None)
        options = SocketOptions() if options is None else options
        listener = Listener(self.loop, (host, port), doorway, options, tcp, backlog, hold)
        listener.on_exhausted = self.on_exhausted
        self.listeners.append(listener)
        return listener.address

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
        """Closes the listeners. Connections of which nothing came yet get a moment, idle HTTP/1 connections
        close, busy ones say `connection: close`, HTTP/2 says GOAWAY, and opaque ones go on."""
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
            (<OpaqueConnection> connection).fail(ERROR_NONE)
        for session in self.sessions():
            (<Session> session).transport.on_broken()

    def sessions(self):
        """The sessions on transports that came in through this server."""
        found = []
        for source in self.loop.sources:
            if isinstance(source, Transport) and self.owns((<Transport> source).session):
                found.append((<Transport> source).session)
        return found

    def ask_again(self):
        """Policy has changed: whoever is connected is asked about again. Requests that begin from now on
        follow the new answers, those under way go on; what is no HTTP and no longer let in ends."""
        if self.authorize is None:
            return
        self.loop.now = now_ns()
        for connection in list(self.opaque_connections):
            (<OpaqueConnection> connection).ask_again()
        for session in self.sessions():
            self.ask_about(session)

    cdef int ask_about(self, Session session) except -1:
        cdef ConnectionRouter router = self.router_of(session)
        cdef Permission permission
        if router is None:
            return 0
        if router.fixed is None:
            return router.forget()
        permission = self.ask(session.transport, router.fixed, router.client)
        if permission is router.permission:
            return 0
        router = self.router_for(router.fixed, router.client, permission)
        if isinstance(session, Http1Server):
            (<Http1Server> session).dispatch = router
        else:
            (<Http2Server> session).dispatch = router
        return 0

    cdef bint owns(self, Session session):
        if isinstance(session, Arrival):
            return (<Arrival> session).server is self
        return self.router_of(session) is not None

    cdef ConnectionRouter router_of(self, Session session):
        """That of a connection of this server that speaks HTTP, else None."""
        cdef object dispatch = None
        if isinstance(session, Http1Server):
            dispatch = (<Http1Server> session).dispatch
        elif isinstance(session, Http2Server):
            dispatch = (<Http2Server> session).dispatch
        if isinstance(dispatch, ConnectionRouter) and (<ConnectionRouter> dispatch).tunnels is self:
            return dispatch
        return None
