# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A table's one rule that has no condition: it matches every request, as a route without matches does."""


cdef class RouteTable:
    def __init__(self, *, Plan otherwise=None):
        self.otherwise = otherwise

    cdef Plan plan_for(self, Head head):
        return self.otherwise
