"""What the shell decided about the exchanges of one route."""

from cython cimport final
from linkerd2_py._ext.metrics.http cimport Classification, HttpMetrics

@final
cdef class ResponseClasses:
    """What statuses count as, where somebody said so. Immutable."""
    cdef bytes told, failures         # bit sets of statuses
    # Whether somebody said it of that status, and what.
    cdef bint says(self, int status) noexcept
    cdef Classification of(self, int status) noexcept

@final
cdef class Plan:
    """Immutable, and shared by all exchanges of its route: what is one exchange's alone stands in the
    exchange. An exchange keeps the plan that it began with to its end, whatever the shell installs
    meanwhile.

    A further decision (deadlines, retry, edits, a limiter, authorization) is one more field here: a C value
    or an extension object, 0 or None where the route says nothing, given by the shell to __init__ and by
    nobody later. The exchange reads it in the one step that it is about, behind its test for a plan, so that
    who has none pays nothing.
    """
    cdef readonly tuple observers     # of Observer, told in this order; may be empty, never None
    cdef bint watched                 # there are some
    # Owned, or None: its requests and their responses, beside what their endpoints have.
    cdef HttpMetrics metrics
    cdef readonly ResponseClasses classes   # of its responses; None: the usual ones
    # Of its route, for who looks on: ((name, value), ...); None: it is of none
    cdef readonly tuple labels
