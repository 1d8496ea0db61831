"""Who is at the other end of a server's connections, what that is counted as, and whether policy lets them
in."""

from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.metrics.series cimport Counter
from linkerd2_py._ext.metrics.tcp cimport TcpMetrics

cdef class Client:
    """Value object, one for each identity that a server has seen."""
    cdef readonly str identity          # proven in the handshake; None: unknown
    cdef bytes raw_identity             # the same, for l5d-client-id
    cdef readonly bint secured          # the connection is TLS that we terminate
    cdef readonly tuple labels          # the tls labels
    cdef TcpMetrics tcp                 # peer="src"

cdef class Clients:
    """Those of one server."""
    cdef Registry registry
    cdef str direction
    cdef tuple tcp_labels               # of peer="src"
    cdef Client plain                   # comes without TLS
    cdef Client skipped                 # comes to a port where nobody looks for TLS
    cdef dict over_tls                  # identity or None -> Client; bounded
    cdef Client make(self, str identity, bint secured, tuple tls)
    cdef Client secured(self, bytes identity)      # over TLS that we terminate; None: who proved nothing

cdef class Permission:
    """What policy says to a client on a port. The shell makes one for each answer it gives; connections share
    it."""
    cdef bytes refusal                  # why it is not let in; None: it is
    # Owned, or None: requests and opaque connections that were let in, or not.
    cdef Counter requests, connections
    cdef int count_request(self) noexcept
    cdef int count_connection(self) noexcept
