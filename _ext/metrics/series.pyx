# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Plain series. Made by Registry; whoever holds one may change it at any time."""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free


cdef class Series:
    """Label text and the time of the last change."""

    def __cinit__(self, bytes labels = b""):
        self.labels = labels

    cdef int settle(self, int64_t now) noexcept:
        return 0


cdef class Counter(Series):
    """A whole number that only grows."""

    def inc(self, uint64_t n = 1):
        """Add `n`; OverflowError when negative."""
        self.count += n

    @property
    def value(self):
        return self.count

    cdef int settle(self, int64_t now) noexcept:
        if self.count != self.settled:
            self.settled = self.count
            self.touched_ns = now
        return 0


cdef class Gauge(Series):
    """A number that goes up and down."""

    def set(self, double level):
        self.level = level

    def add(self, double amount):
        self.level += amount

    @property
    def value(self):
        return self.level

    cdef int settle(self, int64_t now) noexcept:
        if self.level != self.settled:
            self.settled = self.level
            self.touched_ns = now
        return 0


cdef class Distribution(Series):
    """Counts of values by bucket, and their sum."""

    def __dealloc__(self):
        free(self.bounds)
        free(self.counts)

    cdef int divide(self, tuple bounds, tuple texts) except -1:
        cdef int at
        self.bounds = <double*> calloc(len(bounds), sizeof(double))
        self.counts = <uint64_t*> calloc(len(bounds) + 1, sizeof(uint64_t))
        if self.bounds == NULL or self.counts == NULL:
            raise MemoryError
        self.texts = texts
        self.bound_count = <int> len(bounds)
        for at in range(self.bound_count):
            self.bounds[at] = bounds[at]
        return 0

    cdef uint64_t total(self) noexcept:
        cdef uint64_t found = 0
        cdef int at
        for at in range(self.bound_count + 1):
            found += self.counts[at]
        return found

    cdef int settle(self, int64_t now) noexcept:
        cdef uint64_t total = self.total()
        if total != self.settled:
            self.settled = total
            self.touched_ns = now
        return 0
