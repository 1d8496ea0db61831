"""A connection that nobody has used yet: what a probe, or a waiter that was served otherwise, has left."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.io.transport cimport Session

cdef class Spare(Session):
    """Its transport is None once it is adopted or gone: bytes or an end from the endpoint make it
    worthless."""
    cdef int64_t since                # loop ns
    cdef bint told                    # the peer was, that HTTP/1 follows
    cdef int discard(self) except -1
