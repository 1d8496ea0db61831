"""Where the exchanges of one server connection go, and what they are counted as."""

from libc.stdint cimport uint64_t
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.backend cimport Backend, Logical, Router, Waiter
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.passage cimport Passage
from linkerd2_py._ext.exchange.plan cimport Plan
from linkerd2_py._ext.exchange.seats cimport Seating
from linkerd2_py._ext.exchange.stream cimport Peer, Stream
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.io.transport cimport Transport
from linkerd2_py._ext.metrics.http cimport HttpMetrics
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics
from linkerd2_py._ext.policy.route_table cimport NamedRoutes, RouteTable
from linkerd2_py._ext.route.client cimport Client, Permission
from linkerd2_py._ext.route.complaints cimport Complaints
from linkerd2_py._ext.route.target cimport Target
from linkerd2_py._ext.route.target_table cimport TargetTable

cdef enum:
    AUTHORITY_ROOM = 256      # a DNS name is at most 255 bytes

cdef class Tunnels:
    """What a router asks of the server it belongs to: whether a client is let in, and to take transports that
    are no longer HTTP."""
    # None: nobody decides, all are let in
    cdef Permission permit(self, Target target, Client client, Address peer)
    cdef int take_over(self, Transport transport, Target target) except -1
    cdef int tunnel(self, Transport client, Transport server, Target target, Seating seats) except -1

cdef class ConnectionRouter(Router):
    """One for all connections of one client to a fixed target; without one, where authorities are labels, or
    where policy refuses, each connection has its own."""
    cdef object __weakref__
    cdef TargetTable table
    cdef Target fixed                 # original destination or static port; None: by authority
    cdef Tunnels tunnels              # the server this connection came from
    cdef Client client                # who sends; never None
    # Without `fixed`, where somebody decides about clients: whose connection it is
    cdef Address peer
    cdef Permission permission        # to `fixed`, or to `last`; None: nobody decides
    cdef TcpMetrics tcp               # what its connections are counted as
    cdef int default_port
    cdef Complaints complaints        # who is told of what is answered in the proxy's own name; None: nobody
    # Outbound: what a target is called is told to peer proxies
    cdef bint tells_names
    # Inbound: count by authority (trusted clients only: unbounded otherwise)
    cdef bint authority_labels
    # The last authority seen and what it led to, so that a keep-alive connection does not hash it again.
    cdef Target last
    cdef bytes last_authority         # as sent; None at first
    # Inbound: of labelled_backend and labelled_passage with labelled_authority (empty: not by authority) for
    # this client
    cdef HttpMetrics labelled
    cdef Backend labelled_backend
    cdef Passage labelled_passage
    cdef bytes labelled_authority
    # Inbound: whose tables requests follow, by what they name; None: nobody's
    cdef NamedRoutes named
    # The last name seen (None at first), and what it led to while tables were of that version
    cdef bytes routed_name
    cdef RouteTable routed
    cdef uint64_t routed_version
    cdef Target by_authority(self, Head head)
    cdef bint let_in(self, Waiter exchange, Head head) except -1      # else it is answered
    # Whether it keeps the limits on the port; then it occupies what it has to.
    cdef bytes key(self)              # of what the last request is addressed to
    cdef bint is_within_limits(self, Waiter exchange) except -1
    # Whether it is, by what policy says of its route; else it may be changed.
    cdef bint answered(self, Waiter exchange, Head head, Passage passage) except -1
    cdef Plan plan_by_name(self, Head head)
    cdef RouteTable named_routes(self, Head head)
    cdef int forget(self) except -1   # without `fixed`: the next request's target is asked about anew
    cdef HttpMetrics label(self, Backend backend, Passage passage, Span name)
    cdef int stamp_client(self, Head head) except -1
    cdef bint is_shareable(self) noexcept
