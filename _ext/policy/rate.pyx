# cython: language_level=3, cdivision=True
"""Limits that hold for each request, in the time of a comparison each."""

from linkerd2_py._ext.core.pace cimport is_ahead, take_one

cdef enum:
    NS = 1000000000


cdef class Rate:
    def __init__(self, int64_t per_second):
        if not 0 < per_second <= NS:
            raise ValueError("a rate lets in at least one request a second")
        self.pace.interval_ns = NS // per_second
        self.pace.burst_ns = self.pace.interval_ns * (per_second - 1)
        # Long ago: it begins with a quiet second.
        self.pace.due_ns = 0


cdef class Limit:
    def __init__(self, Rate rate not None, *, str refusal not None, Counter refused=None):
        self.rate = rate
        self.refusal = refusal.encode("ascii", "replace")
        self.refused = refused


cdef Limit take_from_all(tuple limits, int64_t now):
    cdef Limit limit
    for limit in limits:
        if is_ahead(&limit.rate.pace, now):
            if limit.refused is not None:
                limit.refused.count += 1
            return limit
    for limit in limits:
        take_one(&limit.rate.pace, now)
    return None
