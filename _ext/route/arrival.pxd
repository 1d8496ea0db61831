"""A connection that has just come, and the part of a proxy server that receives it.

A server with an identity ends the TLS that asks for its name. What comes to its own port over TLS, rather
than to a port of the workload, says in a transport header where it goes; without one it is refused.
"""

from libc.stdint cimport int64_t
from linkerd2_py._ext.detect.detect cimport Protocol
from linkerd2_py._ext.detect.transport_header cimport TransportHeader
from linkerd2_py._ext.io.actor cimport Timer
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.loop cimport Loop
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.metrics.detection cimport Detected
from linkerd2_py._ext.metrics.http cimport ResponseError
from linkerd2_py._ext.route.client cimport Client, Clients, Permission
from linkerd2_py._ext.route.router cimport Tunnels
from linkerd2_py._ext.route.target cimport Target
from linkerd2_py._ext.route.target_table cimport TargetTable
from linkerd2_py._ext.tls.identity cimport LocalIdentity
from linkerd2_py._ext.tls.transport cimport Securing

cdef class Reception(Tunnels):
    """The part of a proxy server that finds out what a connection is addressed to, what it speaks and whether
    it is let in."""
    cdef readonly Loop loop
    cdef readonly TargetTable table
    # Fixed (static port), or None: by original destination, else by authority
    cdef Target target
    cdef LocalIdentity identity       # TLS for its name is ended here; None: all TLS is passed through
    # callable(Client, peer: Address or None, port) -> Permission, or None: all are let in
    cdef object authorize
    # callable(peer: Address or None) or None: somebody came straight to our own port who is none of our peers
    cdef public object on_stranger
    cdef Clients clients
    cdef int64_t detect_timeout_ns
    cdef bint opaque                  # nothing is detected: all is passed on as it comes
    cdef bint draining
    cdef int on_accepted(self, Transport transport) except -1
    cdef bint is_direct(self, Transport transport, Address destination)
    # The target is known, or None: by authority, or by transport header.
    cdef int begin(self, Transport transport, Target target) except -1
    # May be None: nobody decides, or, without a target, each request will name its own.
    cdef Permission ask(self, Transport transport, Target target, Client client)
    cdef int detect(self, Transport transport, Target target, Client client) except -1
    # Whom its ClientHello asks for says where it goes (`relay_as`); where there is none, it goes nowhere.
    cdef int ask_name(self, Transport transport, Target target, Client client) except -1
    # What it is counted as is known; idempotent. `permission` may be None: nobody decided, or not yet.
    cdef int count(self, Transport transport, Target target, Client client, Permission permission) except -1
    # It is given up before anybody serves it; `target` may be None: what it is addressed to is not known.
    cdef int failed(self, Transport transport, Target target, ResponseError error) except -1
    # -- filled in above
    # It is known
    cdef int dispatch(self, Transport transport, Target target, Client client, Protocol protocol) except -1
    cdef int relay(self, Transport transport, Target target, Client client) except -1          # opaque
    # The same for a name that a ClientHello asks for: it is known, or None: nobody looks for it
    cdef int relay_as(self, Transport transport, Target target, Client client, bytes name) except -1
    cdef int await_profile(self, Transport transport, Target target) except -1

cdef enum Stage:
    STAGE_DETECT          # what does it speak?
    STAGE_HANDSHAKE       # TLS for us: who is it?
    STAGE_HEADER          # over TLS to our own port: where to?
    STAGE_NAME            # TLS that we only pass on: whom does it ask for?

cdef class Arrival(Securing):
    """A connection of which we do not know enough yet: bounded peeks, then a codec or a pump."""
    cdef Reception server                 # owned
    cdef Target target
    cdef Client client
    cdef Stage stage
    cdef bint began_hello                 # its first bytes are those of a ClientHello
    cdef Timer timeout
    cdef int64_t began                    # loop ns: to look at what it speaks
    cdef int wait(self) except -1
    cdef int look(self) except -1
    cdef int look_for_protocol(self) except -1
    cdef int look_for_name(self) except -1
    cdef int look_for_server(self) except -1
    cdef int secure(self) except -1
    cdef int look_for_header(self) except -1
    cdef int follow_header(self, const TransportHeader* header) except -1
    cdef int note(self, Detected result) except -1
    cdef int settle(self, Protocol found) except -1
    cdef int refuse(self, ResponseError why) except -1
    cdef int refuse_stranger(self, ResponseError why) except -1  # ... and tell
    cdef int close(self) except -1
    cdef int hasten(self) except -1
    cdef bint is_empty(self) noexcept     # nothing came yet
    cdef bint may_ask(self) noexcept      # what came may become a request
