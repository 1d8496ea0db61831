"""What the shell decided about the exchanges of one route."""

from cython cimport final
from libc.stdint cimport uint32_t
from linkerd2_py._ext.exchange.edits cimport Edits
from linkerd2_py._ext.exchange.redirect cimport Redirect
from linkerd2_py._ext.exchange.retry cimport Retry
from linkerd2_py._ext.exchange.timeouts cimport Timeouts
from linkerd2_py._ext.metrics.http cimport Classification, HttpMetrics
from linkerd2_py._ext.metrics.routes cimport RouteMetrics

@final
cdef class ResponseClasses:
    """What statuses count as, where somebody said so. Immutable."""
    cdef bytes told, failures         # bit sets of statuses
    # Whether somebody said it of that status, and what.
    cdef bint says(self, int status) noexcept
    cdef Classification of(self, int status) noexcept

@final
cdef class Refusal:
    """What is answered where an endpoint's response would be: a failure to a share of requests, and to the
    rest where else to ask. Immutable."""
    cdef readonly int status          # 0: nothing fails
    cdef readonly bytes text          # header-safe
    # Of gRPC: its code, or -1, that of the status; and the text as its `grpc-message`
    cdef readonly int code
    cdef bytes message
    # How many of so many requests fail, drawn for each; `share` is at least `of`: all of them.
    cdef readonly uint32_t share, of
    cdef readonly Redirect redirect   # owned; None: the rest goes on
    cdef bint means(self) noexcept

cdef class Ways:
    """Where the requests of a route may go (`exchange/ways`, which knows backends; a plan does not)."""

@final
cdef class Plan:
    """Immutable, and shared by all exchanges of its route: what is one exchange's alone stands in the
    exchange. An exchange keeps the plan that it began with to its end, whatever the shell installs
    meanwhile.

    A further decision is one more field here: a C value
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
    # Nothing is decided yet: its requests wait for the profile of their target, and are routed anew.
    cdef bint pending
    # Owned, or None: its requests go no further.
    cdef readonly Refusal refusal
    # Owned, or None: where its requests go, chosen for each; None: to their target.
    cdef readonly Ways ways
    # Owned, or None: what is changed of its requests before they take a way, and of servers' responses
    cdef readonly Edits request_edits, response_edits
    cdef bint steers                  # there is something of the above but for responses
    # Owned, or None: what becomes of its requests, as outbound policy's families have it
    cdef readonly RouteMetrics route
    # Owned, or None: how long they may take, and when they are sent again
    cdef readonly Timeouts timeouts
    cdef readonly Retry retry
    cdef readonly bint heeds_headers  # they may say it of themselves (exchange/overrides)
    cdef bint paces                   # there is something of these three
    # Owned, or None: what was sent for the route, where that is not what was asked of it (`metrics`)
    cdef readonly HttpMetrics actual
