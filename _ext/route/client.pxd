"""Who is at the other end of a server's connections, what that is counted as, and whether policy lets them
in."""

from linkerd2_py._ext.detect.transport_header cimport SessionProtocol
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.passage cimport Passage
from linkerd2_py._ext.exchange.seats cimport Seating
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.metrics.series cimport Counter
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics
from linkerd2_py._ext.policy.rules cimport Rules

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

cdef class Permission:
    """What policy says to a client on a port. The shell makes one for each answer it gives; connections share
    it."""
    cdef Passage otherwise              # of requests that no rule means
    cdef Rules rules                    # which routes requests are of; None: there are none
    cdef tuple routes                   # the number of a route, one for each rule
    cdef object passage                 # callable(number of a route) -> Passage, asked once for each
    cdef dict passages                  # number of a route -> Passage, of those that some request was of
    # The rule of the last request, which nearly always is that of the next, and its passage; None at first
    cdef Py_ssize_t last_rule
    cdef Passage last_passage
    # Of requests whose path a server could take for another, where routes differ; None: they do not
    cdef Passage doubtful
    cdef tuple limits                   # of Limit: on requests that are let in
    cdef Seating seating                # owned: on how many of them are in flight; None: any number
    cdef bint limited                   # there is one of the two
    cdef bint opens                     # some requests may be let in
    cdef bint refuses_opaque            # what is no HTTP is not let in
    cdef bytes server                   # labels for the series of its connections, as text; may be empty
    cdef Counter connections            # owned, or None: opaque connections that were let in, or not
    # callable(), or None: an opaque connection that was let in under another permission ends under this one
    cdef object on_terminated
    cdef int count_connection(self) noexcept
    cdef Passage passage_of(self, Head head)     # never None
    cdef Passage passage_of_rule(self, Py_ssize_t number)
    # The same, and it counts the request as one of those.
    cdef Passage judge(self, Head head)
