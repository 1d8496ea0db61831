"""Paths that requests get in the place of their own, as the Gateway API replaces them."""

from cython cimport final
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport Head

cdef struct Halves:
    Span text              # what is new
    Span rest              # what stays of the path, and the query

@final
cdef class NewPath:
    """Immutable."""
    cdef readonly bytes text          # ASCII; without its last slash where it takes the place of a beginning
    # How much of a path it takes the place of, as the condition that held has it; -1: all of it
    cdef readonly Py_ssize_t cut
    cdef bint asks                    # it has a query, which takes the place of the request's
    # Both together begin with a slash where the request's path does. `text` is this object's, `rest` the
    # head's.
    cdef Halves halves(self, Head head) noexcept
    # The same in one piece, in memory of the head.
    cdef Span of(self, Head head) except *
