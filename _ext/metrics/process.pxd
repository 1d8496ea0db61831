"""process_* of this process, read when asked."""

from linkerd2_py._ext.metrics.text cimport Text

cdef extern from "<dirent.h>" nogil:
    ctypedef struct DIR:
        pass

cdef class ProcessSample:
    """One reading. Counting descriptors on old kernels is a walk: `advance` does a bounded part of it and
    says whether it is done."""
    cdef DIR* folder          # owned, closed in __dealloc__; NULL before the walk and after it
    cdef long open_fds
    cdef bint counted
    cdef bint advance(self) noexcept
    cdef int open_walk(self) noexcept
    cdef int write(self, Text* text) except -1

cdef double start_time_seconds() noexcept    # since the epoch; 0 when /proc cannot be read
# A sample that counts descriptors by walking, as on kernels before 6.2.
cdef ProcessSample opendir_fds()
