"""What a request's head says of the trace that it is in: W3C's traceparent, or B3 in several fields or in
one."""

from libc.stdint cimport uint32_t
from linkerd2_py._ext.exchange.head cimport Head

cdef enum:
    TRACE_BYTES = 16
    SPAN_BYTES = 8

# The ids are read where it is sampled, and else left alone.
cdef struct Trace:
    unsigned char[16] trace_id
    unsigned char[8] parent_id         # the span of whoever sent it
    bint sampled
    # Which field of the head names that span, and where in its value: 16 digits
    int field
    uint32_t at

# Whether it says something that can be understood. Where it says it twice, W3C's counts, then B3's several
# fields. What is malformed, is all zeroes or has a version that is not known says nothing.
cdef bint read_trace(Head head, Trace* trace) noexcept
# The head names that span as the sender's from now on.
cdef int write_span(Head head, const Trace* trace, const unsigned char* span_id) except -1
