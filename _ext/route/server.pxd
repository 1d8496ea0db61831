"""A proxy server: listeners, and what happens to a connection from accept to its codec or pump."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.detect.detect cimport Protocol
from linkerd2_py._ext.exchange.backend cimport Backend, Waiter
from linkerd2_py._ext.exchange.limits cimport Limits
from linkerd2_py._ext.io.listener cimport Accepting
from linkerd2_py._ext.io.loop cimport Loop, Timer
from linkerd2_py._ext.io.pump cimport Pump, PumpOwner
from linkerd2_py._ext.io.transport cimport Session, Transport
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics
from linkerd2_py._ext.route.router cimport ConnectionRouter, Tunnels
from linkerd2_py._ext.route.target cimport Target, TargetTable

cdef class ProxyServer(Tunnels):
    cdef readonly Loop loop
    cdef readonly TargetTable table
    cdef Target target                # fixed (static port), or None: by original destination, else by authority
    cdef Limits limits
    cdef TcpMetrics tcp               # peer="src"
    cdef int64_t detect_timeout_ns
    cdef int default_port
    cdef bint outbound, opaque, orig_proto, informational, authority_labels, draining
    cdef list listeners
    cdef set opaque_connections       # OpaqueConnection: from accept or tunnel until both ends are closed
    cdef int on_accepted(self, Transport transport) except -1
    cdef int begin(self, Transport transport, Target target) except -1      # target known or None: by authority
    cdef int detect(self, Transport transport, Target target) except -1
    cdef int serve(self, Transport transport, Target target, int protocol) except -1
    cdef ConnectionRouter router_for(self, Target target)
    cdef int relay(self, Transport transport, Target target) except -1      # opaque
    cdef OpaqueConnection park(self, Transport transport, Target target)
    cdef bint owns(self, Session session)
    cdef bint routes(self, object dispatch)
    cdef int drain_session(self, Session session) except -1

cdef class Doorway(Accepting):
    """What a listener hands transports to."""
    cdef ProxyServer server           # owned

cdef class Arrival(Session):
    """A connection whose protocol is not known yet: bounded peek, then a codec or a pump."""
    cdef ProxyServer server
    cdef Target target
    cdef Timer timeout
    cdef int look(self) except -1
    cdef int settle(self, Protocol found) except -1
    cdef int close(self) except -1
    cdef int hasten(self) except -1
    cdef bint is_empty(self) noexcept     # nothing came yet

cdef class OpaqueConnection(Waiter):
    """An accepted connection that waits for its profile or for an endpoint, and then is pumped."""
    cdef ProxyServer server           # owned; None when over
    cdef Target target
    cdef Backend backend
    cdef Transport client
    cdef Pump pump
    cdef bint over, pending
    cdef int attempts
    cdef int64_t dispatched
    cdef int join(self, Transport transport) except -1
    cdef int fail(self) except -1
    cdef int end(self) except -1

cdef class Parked(Session):
    """Stands on the client's transport while an OpaqueConnection waits: bytes stay in the kernel, a dead client is noticed."""
    cdef OpaqueConnection connection

cdef class PumpEnd(PumpOwner):
    cdef OpaqueConnection connection
