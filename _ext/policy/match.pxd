"""Conditions on request heads, and what statuses count as.

A condition is an array of steps in the order of a tree's nodes, each before its parts, so that a request is
looked at without a Python object. Its time is that of its steps; each looks at the head once.
"""

from cython cimport final
from libc.stdint cimport uint8_t, uint32_t
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
    uint8_t kind                  # a StepKind
    # Of a header: the id of those fields that have this name; H_OTHER: some others may have it, too
    uint8_t id
    uint8_t plain                 # the same: its name has neither "^" nor "~"
    uint32_t after                # of an array: the step behind it and its parts
    const char* name              # of a header, in lower case, or of a parameter
    const char* text              # of a host, in lower case
    const Dfa* dfa
    uint32_t name_length
    uint32_t text_length

# The steps of a condition that all requests meet for which it holds, so that it can be found by them.
cdef struct Key:
    const Step* path              # a whole one, or one with that beginning (its `text`); NULL: none
    const Step* host              # NULL: none

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

cdef Key key_of(const Step* steps) noexcept
# What must hold beside the key, from the step `at`: copied to `into`, behind `count` others; how many there
# are then.
cdef uint32_t put_rest(
    const Step* steps, uint32_t at, const Key* key, Step* into, uint32_t count,
) noexcept
cdef Line line_of(Head head) noexcept
# Without its port, and without the dot at its end.
cdef Span host_of(Span authority) noexcept
cdef bint holds_at(const Step* steps, uint32_t at, Head head, const Line* line) noexcept
