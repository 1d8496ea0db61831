"""A connection whose bytes are not parsed, from waiting to pump, and the part of a proxy server that keeps
such connections."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.exchange.backend cimport Backend, Waiter
from linkerd2_py._ext.io.pump cimport Pump, PumpOwner
from linkerd2_py._ext.io.transport cimport Session, Transport
from linkerd2_py._ext.metrics.connections cimport ConnectionEnd, ConnectionMetrics
from linkerd2_py._ext.metrics.http cimport ResponseError
from linkerd2_py._ext.route.arrival cimport Reception
from linkerd2_py._ext.route.client cimport Client, Permission
from linkerd2_py._ext.route.target cimport Target

cdef class Relay(Reception):
    """The part of a proxy server that passes on what it does not parse."""
    cdef set opaque_connections       # OpaqueConnection: from accept or tunnel until both ends are closed
    cdef OpaqueConnection park(self, Transport transport, Target target, Client client)
    # It refuses a connection, with what would be this status of HTTP.
    cdef int say(self, Target target, int status, bytes text) except -1

cdef class OpaqueConnection(Waiter):
    """A connection that waits for its profile or for an endpoint, and then is pumped."""
    cdef Relay server                 # owned; None when over
    cdef Target target                # what it is addressed to
    cdef Target aim                   # who chooses its backend: the target, or what a route leads to
    cdef bytes name                   # whom its ClientHello asks for, in small letters; None: nobody looked
    cdef ConnectionMetrics metrics    # owned; None: no route is counted for it
    cdef ConnectionEnd outcome        # as far as it is known
    cdef Backend backend
    cdef Client sender
    cdef Permission permission        # with which it was let in; None before, or where nobody decides
    cdef Transport client
    cdef Pump pump
    cdef bint over
    cdef bint pending                 # the backend has not been told yet what became of it
    cdef int attempts
    cdef int64_t dispatched           # loop ns
    cdef int admit(self) except -1
    cdef int set_out(self) except -1      # a route says where it goes
    cdef int turn_away(self, int status, bytes text, ConnectionEnd why) except -1
    cdef int ask_again(self) except -1    # policy has changed: it may be over
    cdef int join(self, Transport transport) except -1
    cdef int fail(self, ResponseError why) except -1   # why it is given up, as errors are counted
    cdef int end(self) except -1
    cdef int tell_end(self, int64_t now) except -1

cdef class Parked(Session):
    """Stands on the client's transport while an OpaqueConnection waits: bytes stay in the kernel, a dead
    client is noticed."""
    cdef OpaqueConnection connection

cdef class PumpEnd(PumpOwner):
    cdef OpaqueConnection connection
