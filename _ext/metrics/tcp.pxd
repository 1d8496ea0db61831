"""tcp_open_total, tcp_open_connections, tcp_close_total{errno}, tcp_read_bytes_total, tcp_write_bytes_total,
tcp_connection_duration_ms of one label set."""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.metrics.histogram cimport Histogram
from linkerd2_py._ext.metrics.series cimport Series

cdef struct CloseCell:
    int code                      # errno, 0 = clean; cells are sorted by it
    Histogram durations           # its counts add up to tcp_close_total

@final
cdef class TcpMetrics(Series):
    cdef uint64_t read_bytes      # transports add directly
    cdef uint64_t write_bytes
    cdef uint64_t opens
    cdef uint64_t open_now
    cdef uint64_t lost            # samples dropped for want of memory
    cdef CloseCell* closes        # owned, malloc'ed on first use, freed in __dealloc__
    cdef uint32_t close_count
    cdef uint32_t close_room
    cdef int opened(self, int64_t now) noexcept
    cdef int closed(self, int code, int64_t duration_ns, int64_t now) noexcept     # errno, 0 = clean
    # Borrowed; NULL when out of memory.
    cdef CloseCell* close_cell(self, int code) noexcept
    cdef bint insert_close(self, uint32_t at, int code) noexcept
