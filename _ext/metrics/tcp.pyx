# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Connection counters of one label set. Transports add to them; exposition reads them."""

from cython cimport final
from libc.limits cimport INT_MAX
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove, memset, strcmp
from linkerd2_py._ext.core.debug cimport check
from linkerd2_py._ext.core.fault cimport errno_name
from linkerd2_py._ext.metrics.histogram cimport record
from linkerd2_py._ext.metrics.series cimport Series

cdef enum:
    OTHER_CODE = INT_MAX      # stands for all codes that have no name of their own


@final
cdef class TcpMetrics(Series):
    """One label set. Made by Registry; `labels` is the label text that every series of it starts with."""

    def __dealloc__(self):
        free(self.closes)

    cdef int opened(self, int64_t now) noexcept:
        self.opens += 1
        self.open_now += 1
        self.touched_ns = now
        return 0

    cdef int closed(self, int code, int64_t duration_ns, int64_t now) noexcept:
        """Returns 0, or -1 when memory ran out and the close was dropped from the families by errno."""
        self.touched_ns = now
        check(self.open_now > 0, b"a connection is closed more often than opened")
        if self.open_now > 0:
            self.open_now -= 1
        cdef CloseCell* cell = self.close_cell(code)
        if cell == NULL:
            self.lost += 1
            return -1
        record(&cell.durations, max(0, duration_ns))
        return 0

    cdef CloseCell* close_cell(self, int code) noexcept:
        # A handful of codes at most, clean closes first.
        cdef uint32_t at = 0
        while at < self.close_count and self.closes[at].code < code:
            at += 1
        if at == self.close_count or self.closes[at].code != code:
            if code != OTHER_CODE and strcmp(errno_name(code), errno_name(OTHER_CODE)) == 0:
                # One series must not be exported twice.
                return self.close_cell(OTHER_CODE)
            if not self.insert_close(at, code):
                return NULL
        return &self.closes[at]

    cdef bint insert_close(self, uint32_t at, int code) noexcept:
        cdef uint32_t room
        cdef void* grown
        if self.close_count == self.close_room:
            room = max(1, self.close_room * 2)
            grown = realloc(self.closes, room * sizeof(CloseCell))
            if grown == NULL:
                return False
            self.closes = <CloseCell*> grown
            self.close_room = room
        memmove(&self.closes[at + 1], &self.closes[at], (self.close_count - at) * sizeof(CloseCell))
        memset(&self.closes[at], 0, sizeof(CloseCell))
        self.closes[at].code = code
        self.close_count += 1
        return True
