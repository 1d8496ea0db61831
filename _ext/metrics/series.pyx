# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Plain series for what the shell counts. Made by Registry; whoever holds one may change it at any time."""

from libc.stdint cimport int64_t, uint64_t


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
