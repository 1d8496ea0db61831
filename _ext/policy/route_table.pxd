"""Which plan the requests to one target follow."""

from cython cimport final
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.plan cimport Plan

@final
cdef class RouteTable:
    """Immutable: the shell replaces a target's table whole, so no request sees half of an old and half of a
    new one."""
    cdef readonly Plan otherwise      # of requests that no rule names; None: they have no plan
    cdef Plan plan_for(self, Head head)    # None: the request has no plan
