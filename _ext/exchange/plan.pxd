"""What the shell decided about the exchanges of one route."""

from cython cimport final

@final
cdef class Plan:
    """Immutable, and shared by all exchanges of its route: what is one exchange's alone stands in the
    exchange. An exchange keeps the plan that it began with to its end, whatever the shell installs
    meanwhile.

    A further decision (deadlines, retry, edits, a limiter, authorization, handles of metrics) is one more
    field here: a C value or an extension object, 0 or None where the route says nothing, given by the shell
    to __init__ and by nobody later. The exchange reads it in the one step that it is about, behind its test
    for a plan, so that who has none pays nothing.
    """
    cdef readonly tuple observers     # of Observer, told in this order; may be empty, never None
