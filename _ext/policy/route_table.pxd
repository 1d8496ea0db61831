"""Which plan the requests to one target follow."""

from cython cimport final
from libc.stdint cimport uint64_t
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.plan cimport Plan
from linkerd2_py._ext.policy.match cimport Condition
from linkerd2_py._ext.policy.rules cimport Rules

@final
cdef class RouteTable(Rules):
    """Immutable: the shell replaces a target's table whole, so no request sees half of an old and half of a
    new one."""
    cdef readonly Plan otherwise      # of requests that no rule means; None: they have no plan
    cdef list plans                   # of Plan, one for each rule
    cdef Plan plan_for(self, Head head)    # None: the request has no plan
    # Who makes it: one more rule, behind the others.
    cdef int put(self, Condition condition, Plan plan) except -1

@final
cdef class TableDraft:
    """A table that nobody follows yet, made rule by rule, so that who makes a large one can give way to
    traffic in between."""
    cdef RouteTable table             # owned; None: it was given away
    cdef RouteTable unfinished(self)  # ValueError

@final
cdef class NamedRoutes:
    """The tables of a side whose targets are not what requests name: inbound, requests name the services that
    the workload is part of."""
    cdef dict tables                  # canonical name with port -> RouteTable
    # Changes whenever a table does, so that what was found before can be found again, and is not kept.
    cdef uint64_t version
    # callable(name): a request names what has no table; often, and from whoever is let in
    cdef public object on_unknown
    cdef RouteTable of(self, bytes name)
