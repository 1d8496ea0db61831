# cython: language_level=3
"""Connected and unused."""

from linkerd2_py._ext.core.fault cimport FaultKind


cdef class Spare(Session):

    # An HTTP server does not speak first, and one that has ended answers nobody.
    cdef int on_readable(self) except -1:
        return self.discard()

    cdef int on_read_eof(self) except -1:
        return self.discard()

    cdef int on_fault(self, FaultKind kind, int code) except -1:
        return self.discard()

    cdef int discard(self) except -1:
        return 0 if self.transport is None else self.transport.abort()
