"""Ordered conditions, of which the first that holds decides."""

from libc.stdint cimport uint32_t
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.policy.match cimport Condition, Line, Step
from linkerd2_py._ext.policy.tree cimport Chain, Tree

cdef struct Rule:
    # Its steps, all of which must hold, but for those by which it is found; as many as there are up to `end`
    uint32_t at, end
    uint32_t behind               # the next rule with the same host and path; NOBODY: there is none

cdef class Rules:
    """Immutable, once it is made. A request is held against those conditions alone that a tree finds by its
    host, as it is read from its end, and by its path; the others cost nothing."""
    cdef Rule* rules              # owned, as are the others; freed in __dealloc__
    cdef uint32_t number, room    # of them
    cdef Step* steps
    cdef uint32_t step_count, step_room
    cdef list kept                # owns what steps and trees point to
    cdef Tree tree
    # Roots: of the paths of rules that ask for no host, and of hosts, behind each of which is the root of the
    # paths of its rules; NOBODY until one asks.
    cdef uint32_t paths, hosts
    cdef Py_ssize_t first(self, Head head) noexcept      # the number of a rule; -1: none holds
    # Who makes it: one more, behind the others. ValueError for one too many, MemoryError.
    cdef int append(self, Condition condition) except -1
    # ---- private
    cdef int make_room(self, Condition condition) except -1
    cdef uint32_t root_for(self, const Step* host) except? 0
    cdef Chain* chain_for(self, const Step* host, const Step* path) except NULL
    cdef uint32_t by_host(self, Head head, const Line* line) noexcept
