"""Changes of a head that a route asks for: of its fields, and of what a request asks for."""

from cython cimport final
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.exchange.new_path cimport NewPath

@final
cdef class Edits:
    """Immutable. In this order: what is added, what takes the place of all fields of its name, what goes."""
    cdef tuple added, put             # ((name, value, id), ...), names in lower case
    cdef tuple removed                # names in lower case
    # Of requests: what they ask for after that. Where they go is decided already.
    cdef readonly NewPath path        # owned; None: it stays
    cdef readonly bytes host          # without a port; empty: it stays
    cdef bint rewrites                # there is one of the two
    # What is added points into this object: it must live as long as the head says anything.
    # `mark`: a flag on each field that it adds or drops, 0: none.
    cdef int apply(self, Head head, int mark) except -1
    cdef int rewrite(self, Head head) except -1

# Takes back what was done with FIELD_OF_WAY to a head that had so many fields before.
cdef int undo(Head head, int fields) noexcept
