"""A proxy server: listeners, and what happens to a connection from accept to its codec or pump.

A server with an identity ends the TLS that asks for its name. What comes to its own port over TLS, rather than to a port of the workload, says in a
transport header where it goes; without one it is refused.
"""

from libc.stdint cimport int64_t
from linkerd2_py._ext.core.fault cimport FaultKind
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.detect.detect cimport Protocol
from linkerd2_py._ext.detect.transport_header cimport TransportHeader
from linkerd2_py._ext.exchange.backend cimport Backend, Waiter
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.listener cimport Accepting
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.pump cimport Pump, PumpOwner
from linkerd2_py._ext.io.transport cimport Session, Transport
from linkerd2_py._ext.route.client cimport Client, Permission
from linkerd2_py._ext.route.router cimport ConnectionRouter, Tunnels
from linkerd2_py._ext.route.target cimport Target, TargetTable
from linkerd2_py._ext.tls.identity cimport LocalIdentity
from linkerd2_py._ext.tls.transport cimport Securing

cdef class ProxyServer(Tunnels):
    cdef readonly Loop loop
    cdef readonly TargetTable table
    cdef Target target                # fixed (static port), or None: by original destination, else by authority
    cdef Limits limits
    cdef LocalIdentity identity       # TLS for its name is ended here; None: all TLS is passed through
    cdef object authorize             # callable(Client, peer: Address or None, port) -> Permission, or None: all are let in
    cdef tuple tcp_labels             # of peer="src"
    cdef Client plain, skipped        # who comes without TLS; who comes to a port where nobody looks for it
    cdef dict clients                 # identity or None -> Client over TLS; bounded
    cdef int64_t detect_timeout_ns
    cdef int default_port
    cdef bint outbound, opaque, orig_proto, informational, authority_labels, draining
    cdef list listeners
    cdef public object on_exhausted   # callable(listener) or None: one of the listeners had nothing left to accept with
    cdef set opaque_connections       # OpaqueConnection: from accept or tunnel until both ends are closed
    cdef int on_accepted(self, Transport transport) except -1
    cdef int begin(self, Transport transport, Target target) except -1      # target known or None: by authority, or by transport header
    cdef bint is_direct(self, Transport transport, Address destination)
    cdef Client client_of(self, bytes identity)                             # over TLS
    cdef Client make_client(self, str identity, bint secured, tuple tls)
    cdef Permission ask(self, Transport transport, Target target, Client client)   # target may be None: each request will name its own
    cdef int detect(self, Transport transport, Target target, Client client) except -1
    cdef int dispatch(self, Transport transport, Target target, Client client, Protocol protocol) except -1   # the protocol is known
    cdef int serve(self, Transport transport, Target target, Client client, Protocol protocol) except -1
    cdef ConnectionRouter router_for(self, Target target, Client client, Permission permission)
    cdef int relay(self, Transport transport, Target target, Client client) except -1      # opaque
    cdef OpaqueConnection park(self, Transport transport, Target target, Client client)
    cdef bint owns(self, Session session)
    cdef bint routes(self, object dispatch)
    cdef int drain_session(self, Session session) except -1

cdef class Doorway(Accepting):
    """What a listener hands transports to."""
    cdef ProxyServer server           # owned

cdef enum Stage:
    STAGE_DETECT          # what does it speak?
    STAGE_HANDSHAKE       # TLS for us: who is it?
    STAGE_HEADER          # over TLS to our own port: where to?

cdef class Arrival(Securing):
    """A connection of which we do not know enough yet: bounded peeks, then a codec or a pump."""
    cdef ProxyServer server
    cdef Target target
    cdef Client client
    cdef Stage stage
    cdef bint began_hello                 # its first bytes are those of a ClientHello
    cdef Timer timeout
    cdef int wait(self) except -1
    cdef int look(self) except -1
    cdef int look_for_protocol(self) except -1
    cdef int look_for_name(self) except -1
    cdef int secure(self) except -1
    cdef int look_for_header(self) except -1
    cdef int follow_header(self, const TransportHeader* header) except -1
    cdef int settle(self, Protocol found) except -1
    cdef int refuse(self) except -1
    cdef int close(self) except -1
    cdef int hasten(self) except -1
    cdef bint is_empty(self) noexcept     # nothing came yet
    cdef bint may_ask(self) noexcept      # what came may become a request

cdef class OpaqueConnection(Waiter):
    """An accepted connection that waits for its profile or for an endpoint, and then is pumped."""
    cdef ProxyServer server           # owned; None when over
    cdef Target target
    cdef Backend backend
    cdef Client sender
    cdef Transport client
    cdef Pump pump
    cdef bint over, pending
    cdef int attempts
    cdef int64_t dispatched
    cdef int admit(self) except -1
    cdef int join(self, Transport transport) except -1
    cdef int fail(self) except -1
    cdef int end(self) except -1
    cdef int tell_end(self, int64_t now) except -1

cdef class Parked(Session):
    """Stands on the client's transport while an OpaqueConnection waits: bytes stay in the kernel, a dead client is noticed."""
    cdef OpaqueConnection connection

cdef class PumpEnd(PumpOwner):
    cdef OpaqueConnection connection
