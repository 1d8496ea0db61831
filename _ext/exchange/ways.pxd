"""The ways of a route: targets to which its requests are spread by weight."""

from cython cimport final
from libc.stdint cimport uint64_t
from linkerd2_py._ext.exchange.backend cimport Logical
from linkerd2_py._ext.exchange.edits cimport Edits
from linkerd2_py._ext.exchange.plan cimport Refusal, Ways
from linkerd2_py._ext.metrics.routes cimport RouteMetrics

@final
cdef class Way:
    """One of them. Immutable."""
    cdef readonly Logical logical     # owned; None: the target that the request is addressed to
    cdef readonly Refusal refusal     # owned; None: it leads somewhere
    # Owned; None: not counted. Its requests and their responses.
    cdef readonly RouteMetrics metrics
    # Owned, or None: what is changed of its requests, behind what their plan changes, and of its responses,
    # before that
    cdef readonly Edits request_edits, response_edits
    cdef readonly uint64_t weight
    cdef uint64_t until               # its weight and those of all before it

@final
cdef class Split(Ways):
    """Immutable. Each request takes one of the ways, as often as its weight says."""
    cdef readonly tuple ways          # of Way; never empty
    cdef uint64_t total
    cdef Way only                     # owned: the one that there is; None: there are more
    cdef Way pick(self)
    # Whether one of them leads to a backend now; `own`: the target that requests are addressed to.
    cdef bint is_ready(self, Logical own) noexcept
