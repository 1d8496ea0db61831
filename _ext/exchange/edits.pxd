"""Changes of the fields of a head that a route asks for."""

from cython cimport final
from linkerd2_py._ext.exchange.head cimport Head

@final
cdef class Edits:
    """Immutable. In this order: what is added, what takes the place of all fields of its name, what goes."""
    cdef tuple added, put             # ((name, value, id), ...), names in lower case
    cdef tuple removed                # names in lower case
    # What is added points into this object: it must live as long as the head says anything.
    cdef int apply(self, Head head) except -1
