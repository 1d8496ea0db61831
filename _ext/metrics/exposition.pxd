"""The text format 0.0.4, written in C in slices.

It only reads series; what to write is a plan made by the registry.
"""

from libc.stdint cimport int64_t
from linkerd2_py._ext.metrics.process cimport ProcessSample
from linkerd2_py._ext.metrics.series cimport Series
from linkerd2_py._ext.metrics.text cimport Text

cdef enum:
    SLICE_BYTES = 65536       # the largest slice
    # Series looked at for one slice: bounds the time of a slice that finds nothing to write.
    SLICE_VISITS = 8192

cdef enum FamilyKind:
    FAMILY_REQUESTS, FAMILY_RESPONSES, FAMILY_LATENCIES
    FAMILY_TCP_OPENS, FAMILY_TCP_OPEN_NOW, FAMILY_TCP_READ, FAMILY_TCP_WRITE
    FAMILY_TCP_CLOSES, FAMILY_TCP_DURATIONS
    FAMILY_COUNTER, FAMILY_GAUGE, FAMILY_DISTRIBUTION

cdef class Family:
    """One family of a rendering: its head and a snapshot of its series (list of Series of the class that
    `kind` reads)."""
    cdef FamilyKind kind
    cdef bytes name
    cdef bytes help               # escaped
    cdef list series              # shared between families of the same handles; never changed

cdef class Rendering:
    """Iterator of bytes, each 1 to SLICE_BYTES long, together the whole text.

    Series may change, come and go between slices.
    """
    cdef list families
    cdef ProcessSample process    # None once written
    cdef Text text                # owned, freed in __dealloc__; what is written and not yet handed out
    cdef Py_ssize_t family_at
    cdef Py_ssize_t series_at
    cdef int64_t cell_after       # key of the cell written last: cells inserted meanwhile never repeat one
    cdef bint headed              # HELP and TYPE of the current family are out
    cdef bint finished
    cdef bint step(self) except -1
    cdef int write_series(self, Family family, Series series) except -1
    cdef int write_response(self, Family family, Series series) except -1
    cdef int write_latency(self, Family family, Series series) except -1
    cdef int write_close(self, Family family, Series series) except -1
    cdef int head(self, Family family) noexcept
    cdef int next_series(self) noexcept

cdef Family family_of(FamilyKind kind, bytes name, bytes help, list series)
