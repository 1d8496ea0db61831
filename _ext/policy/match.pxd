"""Conditions on request heads, and what statuses count as.

A condition is an array of steps in the order of a tree's nodes, each before its parts, so that a request is
looked at without a Python object. Its time is that of its steps; each looks at the head once.
"""

from cython cimport final
from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport Head
from linkerd2_py._ext.policy.regex cimport Dfa

cdef enum StepKind:
    STEP_ALL, STEP_ANY, STEP_NOT      # of the steps up to `after`
    STEP_PATH, STEP_PREFIX, STEP_PATH_REGEX
    STEP_METHOD
    STEP_HOST, STEP_HOST_BELOW
    STEP_HEADER, STEP_HEADER_REGEX
    STEP_QUERY, STEP_QUERY_REGEX
    STEP_HTTP2

cdef struct Step:
    StepKind kind
    uint32_t after                # of an array: the step behind it and its parts
    const char* name              # of a header, in lower case, or of a parameter
    const char* text              # of a host, in lower case
    const Dfa* dfa
    uint32_t name_length
    uint32_t text_length

# What the paths of all requests begin with for which a condition holds, or are, where `whole`. Told apart by
# that, most conditions need no look.
cdef struct Beginning:
    const char* text              # borrowed from the condition
    uint32_t length               # 0: nothing is known
    bint whole

# What conditions look at of one head, found once for all of them.
cdef struct Line:
    Span path                     # without the query
    Span query                    # without its question mark

@final
cdef class Condition:
    """Immutable."""
    cdef Step* steps              # owned, freed in __dealloc__
    cdef uint32_t count
    cdef int depth
    cdef list kept                # owns what the steps point to

cdef Beginning beginning_of(const Step* steps) noexcept
cdef Line line_of(Head head) noexcept
cdef bint holds(const Step* steps, Head head, const Line* line) noexcept
