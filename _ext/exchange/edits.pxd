"""Changes of the fields of a head that a route asks for."""

from cython cimport final
from linkerd2_py._ext.exchange.head cimport Head

@final
cdef class Edits:
    """Immutable. In this order: what is added, what takes the place of all fields of its name, what goes."""
    cdef tuple added, put             # ((name, value, id), ...), names in lower case
    cdef tuple removed                # names in lower case
    # What is added points into this object: it must live as long as the head says anything.
    # `mark`: a flag on each field that it adds or drops, 0: none.
    cdef int apply(self, Head head, int mark) except -1

# Takes back what was done with FIELD_OF_WAY to a head that had so many fields before.
cdef int undo(Head head, int fields) noexcept
