"""Where connections to one target go whose bytes nobody parses: one route for all of them, or one for each
name that a ClientHello asks for."""

from cython cimport final
from libc.stdint cimport uint64_t
from linkerd2_py._ext.exchange.backend cimport Logical
from linkerd2_py._ext.metrics.connections cimport ConnectionEnd, ConnectionMetrics

@final
cdef class ConnectionWay:
    """One of the backends of a route. Immutable."""
    cdef readonly Logical logical     # owned; None: the target that the connection is addressed to
    cdef readonly uint64_t weight
    cdef ConnectionEnd refusal        # ENDED_WELL: it leads somewhere
    cdef readonly bytes text          # why it does not, header-safe
    cdef uint64_t until               # its weight and those of all before it

@final
cdef class ConnectionRoute:
    """Immutable. Each connection takes one of the ways, once, as often as its weight says."""
    cdef readonly tuple ways          # of ConnectionWay; never empty
    cdef readonly ConnectionMetrics metrics   # owned; None: not counted
    cdef uint64_t total
    cdef ConnectionWay pick(self)

@final
cdef class ConnectionRoutes:
    """Immutable: the shell replaces them whole."""
    cdef dict whole, below            # name in small letters -> ConnectionRoute; of the latter its `*.`
    cdef readonly ConnectionRoute otherwise   # of connections that no name means; None: they go nowhere
    # A ClientHello must be there and name whom it asks for; what does not goes nowhere.
    cdef readonly bint by_name
    cdef readonly bint plain          # all of them go to the target's own endpoints
    # `name`: as a ClientHello has it, in small letters, or None. None: it goes nowhere.
    cdef ConnectionRoute route_for(self, bytes name)
