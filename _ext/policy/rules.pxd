"""Ordered conditions, of which the first that holds decides."""

from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.policy.match cimport Beginning, Step

cdef struct Rule:
    Beginning beginning           # both borrowed from `conditions`
    const Step* steps

cdef class Rules:
    """Immutable."""
    cdef Rule* rules              # owned, freed in __dealloc__
    cdef readonly Py_ssize_t count
    cdef tuple conditions
    cdef Py_ssize_t first(self, Head head) noexcept      # the number of a rule; -1: none holds
