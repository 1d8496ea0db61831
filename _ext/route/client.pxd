"""Who is at the other end of a server's connections, what that is counted as, and whether policy lets them
in."""

from linkerd2_py._ext.detect.transport_header cimport SessionProtocol
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.metrics.series cimport Counter
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics

cdef class Permission

cdef class Client:
    """Value object, one for each identity that a server has seen."""
    cdef readonly str identity          # proven in the handshake; None: unknown
    cdef bytes raw_identity             # the same, for l5d-client-id
    cdef readonly bint secured          # the connection is TLS that we terminate
    cdef readonly tuple labels          # the tls labels
    cdef bytes text                     # the same with those of its server, as text
    # Owned, or None until needed: its connections of which no more is said
    cdef TcpMetrics tcp
    # Owned, or None until needed: (port, protocol) of transport headers that it has sent -> Counter; bounded
    cdef dict headers

# As text, for whoever is told; None stays None.
cdef str name_of(bytes identity)
# One over TLS that nobody counts; `identity` None: who proved nothing.
cdef Client client_over_tls(bytes identity)

cdef class Clients:
    """Those of one server."""
    cdef Registry registry
    cdef bytes prefix                   # what all series of their connections begin with
    cdef tuple tcp_labels               # of peer="src"
    cdef Client plain                   # comes without TLS
    cdef Client skipped                 # comes to a port where nobody looks for TLS
    cdef dict over_tls                  # identity or None -> Client; bounded
    cdef Client make(self, str identity, bint secured, tuple tls)
    cdef Client secured(self, bytes identity)      # over TLS that we terminate; None: who proved nothing
    # What a connection is counted as: of whom, to which address (labels as text; empty: nobody says), and
    # under what policy (None: nobody decided). Whoever counts holds it: idle series are forgotten.
    cdef TcpMetrics counted(self, Client client, bytes address, Permission permission)

    # It has said in a transport header which port of the workload a connection is for, and what it speaks.
    cdef int headed(self, Client client, int port, SessionProtocol protocol) except -1

cdef class OpenPath:
    """Requests of which policy says more than of the others. Value object."""
    cdef bytes method                   # None: all
    cdef bytes path                     # without query, and without the slash at its end where `below`
    cdef bint below                     # what lies below it, too, to whatever server
    cdef Counter requests               # owned, or None: those that were let in
    cdef bytes labels                   # for the series of these requests, as text; may be empty
    cdef bint leads(self, Head head) noexcept

cdef class Permission:
    """What policy says to a client on a port. The shell makes one for each answer it gives; connections share
    it."""
    cdef bytes refusal                  # why it is not let in; None: it is
    cdef int status                     # that goes with it
    # Of OpenPath: what it may ask for in spite of a refusal; where there is none, what is counted apart
    cdef tuple paths
    cdef bint refuses_opaque            # what is no HTTP is not let in
    cdef bytes labels                   # for the series of its requests, as text; may be empty
    cdef bytes server                   # for those of its connections, as text: some of them; may be empty
    # Owned, or None: requests and opaque connections that were let in, or not.
    cdef Counter requests, connections
    # callable(), or None: an opaque connection that was let in under another permission ends under this one
    cdef object on_terminated
    cdef int count_request(self) noexcept
    cdef int count_connection(self) noexcept
    cdef OpenPath path_of(self, Head head)       # None: none of `paths`
    # Whether this one request is let in; counts it either way.
    cdef bint admits(self, Head head) except -1
