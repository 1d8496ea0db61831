# cython: language_level=3
"""Opaque connections; read them from Relay.await_profile and Relay.relay down."""

from linkerd2_py._ext.core.fault cimport FAULT_NONE, FaultKind, is_ours
from linkerd2_py._ext.exchange.backend cimport WANTS_TRANSPORT, Unavailable
from linkerd2_py._ext.exchange.error_response cimport error_of_fault, error_of_unavailable
from linkerd2_py._ext.exchange.seats cimport Seating
from linkerd2_py._ext.io.pump cimport pump_between
from linkerd2_py._ext.io.transport cimport PAUSE_PARKED
from linkerd2_py._ext.metrics.connections cimport ENDED_FORBIDDEN, ENDED_UNEXPECTED, ENDED_WELL
from linkerd2_py._ext.metrics.http cimport ERROR_DENIED, ERROR_NO_ROUTE, ERROR_UNEXPECTED
from linkerd2_py._ext.policy.connections cimport ConnectionRoute, ConnectionWay

cdef enum:
    # Of endpoints, for one connection: as often as an exchange is chosen again. Its client waits meanwhile,
    # and may come again itself.
    MAX_ATTEMPTS = 4
    FORBIDDEN = 403
    NOT_FOUND = 404
    INTERNAL_ERROR = 500


cdef bytes NO_ROUTE = b"no route of outbound policy means this connection"


cdef class Relay(Reception):
    def __cinit__(self):
        self.opaque_connections = set()

    cdef int await_profile(self, Transport transport, Target target) except -1:
        return target.await_profile(self.park(transport, target, self.clients.skipped))

    cdef int relay(self, Transport transport, Target target, Client client) except -1:
        if not target.configured:
            # Forgotten while the client was silent: its routes are not known yet.
            return self.await_profile(transport, target)
        if target.connections is not None and target.connections.by_name:
            return self.ask_name(transport, target, client)
        return self.park(transport, target, client).admit()

    cdef int relay_as(self, Transport transport, Target target, Client client, bytes name) except -1:
        cdef OpaqueConnection connection
        if not target.configured:
            return self.await_profile(transport, target)
        connection = self.park(transport, target, client)
        connection.name = name
        return connection.admit()

    cdef int say(self, Target target, int status, bytes text) except -1:
        return 0

    cdef int tunnel(self, Transport client, Transport server, Target target, Seating seats) except -1:
        cdef OpaqueConnection connection = self.park(client, target, self.clients.plain)
        if seats is not None:
            connection.seats = seats
            seats.occupy()
        return connection.join(server)

    cdef OpaqueConnection park(self, Transport transport, Target target, Client client):
        cdef OpaqueConnection connection = OpaqueConnection.__new__(OpaqueConnection)
        cdef Parked parked = Parked.__new__(Parked)
        connection.server = self
        connection.target = connection.aim = target
        connection.sender = client
        connection.client = transport
        parked.connection = connection
        target.live += 1
        self.opaque_connections.add(connection)
        transport.pause(PAUSE_PARKED)
        transport.attach(parked)
        return connection


cdef class OpaqueConnection(Waiter):

    cdef int on_profile(self, bint opaque) except -1:
        # Ours: `end` lets go of them.
        cdef Relay server = self.server
        cdef Target target = self.target
        cdef Transport transport = self.client
        if self.over:
            return 0
        target.counts().came()
        opaque = target.opaque or server.opaque
        if opaque and (target.connections is None or not target.connections.by_name):
            return self.admit()
        self.end()
        if opaque:
            server.relay(transport, target, server.clients.skipped)
        else:
            server.detect(transport, target, server.clients.plain)
        return transport.resume(PAUSE_PARKED)

    cdef int admit(self) except -1:
        """It is opaque: policy may still refuse it."""
        cdef Permission permission = self.server.ask(self.client, self.target, self.sender)
        self.server.count(self.client, self.target, self.sender, permission)
        if permission is not None:
            permission.count_connection()
            if permission.refuses_opaque:
                return self.fail(ERROR_DENIED)
        self.permission = permission
        return self.target.choose(self) if self.target.connections is None else self.set_out()

    cdef int set_out(self) except -1:
        """Drawn once, whatever is installed meanwhile."""
        cdef ConnectionRoute route = self.target.connections.route_for(self.name)
        cdef ConnectionWay way
        if route is None:
            return self.turn_away(NOT_FOUND, NO_ROUTE, ENDED_UNEXPECTED)
        self.metrics = route.metrics
        if self.metrics is not None:
            self.metrics.opened()
        way = route.pick()
        if way.refusal != ENDED_WELL:
            status = FORBIDDEN if way.refusal == ENDED_FORBIDDEN else INTERNAL_ERROR
            return self.turn_away(status, way.text, way.refusal)
        if way.logical is not None:
            self.aim = <Target> way.logical
            self.aim.live += 1
        return self.aim.choose(self)

    cdef int turn_away(self, int status, bytes text, ConnectionEnd why) except -1:
        self.server.say(self.target, status, text)
        self.outcome = why
        return self.fail(ERROR_NO_ROUTE if status == NOT_FOUND else ERROR_UNEXPECTED)

    cdef int ask_again(self) except -1:
        cdef Permission permission
        if self.over or self.permission is None:
            return 0
        permission = self.server.ask(self.client, self.target, self.sender)
        if permission.refuses_opaque:
            if permission.on_terminated is not None:
                permission.on_terminated()
            return self.fail(ERROR_DENIED)
        self.permission = permission
        return 0

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
        return self.fail(error_of_unavailable(why, status))

    cdef int on_backend_failed(self, FaultKind kind, int code) except -1:
        if self.over:
            return 0
        self.backend.cancel()
        self.pending = False
        if not is_ours(kind):
            self.backend.fail(1.0, self.dispatched, 0, self.server.loop.now)
        if self.backend.alone or self.attempts >= MAX_ATTEMPTS:
            return self.fail(error_of_fault(kind))
        self.backend = None
        return self.aim.choose(self)

    cdef int on_transport(self, Transport transport) except -1:
        cdef int64_t now
        if self.over:
            return transport.abort()
        now = self.server.loop.now
        # Load of an opaque endpoint: its connect time as the estimate, its open connections as what is
        # pending.
        self.backend.complete(now - self.dispatched, now)
        self.backend.begin()
        return self.join(transport)

    cdef int join(self, Transport transport) except -1:
        cdef PumpEnd end = PumpEnd.__new__(PumpEnd)
        end.connection = self
        self.pump = pump_between(self.client, transport, end)
        return self.pump.start()

    cdef int on_broken(self) except -1:
        return self.fail(ERROR_UNEXPECTED)

    cdef int fail(self, ResponseError why) except -1:
        """No byte was answered: the client sees RST."""
        cdef Transport client = self.client
        cdef Pump pump = self.pump
        if self.over:
            return 0
        self.target.counts().tcp_failed(why)
        if self.outcome == ENDED_WELL:
            self.outcome = ENDED_UNEXPECTED
        self.end()
        if pump is not None:
            return pump.stop()
        return client.abort()

    cdef int end(self) except -1:
        if self.over:
            return 0
        self.over = True
        self.aim.withdraw(self)
        self.target.live -= 1
        self.target.last_used = self.server.loop.now
        if self.aim is not self.target:
            self.aim.left(self.server.loop.now)
        if self.metrics is not None:
            self.metrics.closed(self.outcome)
        if self.pending:
            self.pending = False
            self.tell_end(self.server.loop.now)
        self.server.opaque_connections.discard(self)
        self.let_out()
        self.backend = None
        self.client = None
        self.pump = None
        self.server = None
        return 0

    cdef int tell_end(self, int64_t now) except -1:
        """An endpoint that ends a connection before it has said a word has failed it; the rest is between the
        two ends."""
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
        self.connection.outcome = ENDED_UNEXPECTED
        return self.connection.end()


cdef class PumpEnd(PumpOwner):
    cdef int on_pump_closed(self, Pump pump, FaultKind kind, int code) except -1:
        if kind != FAULT_NONE:
            self.connection.outcome = ENDED_UNEXPECTED
        return self.connection.end()
