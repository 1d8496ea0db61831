# cython: language_level=3
"""Two passes over a few limits: none is taken where one is full."""


cdef class Seats:
    pass


cdef class SeatLimit:
    def __init__(
        self, Seats seats not None, int most, *, str refusal not None, int status=503, Counter refused=None,
    ):
        if most <= 0:
            raise ValueError("a limit lets in at least one request")
        self.seats = seats
        self.most = most
        self.refusal = refusal.encode("ascii", "replace")
        self.status = status
        self.refused = refused


cdef class Seating:
    def __init__(self, limits):
        self.limits = tuple(limits)
        for limit in self.limits:
            if not isinstance(limit, SeatLimit):
                raise TypeError(f"{limit!r} is no SeatLimit")

    cdef SeatLimit full(self):
        cdef SeatLimit limit
        for limit in self.limits:
            if limit.seats.taken >= limit.most:
                if limit.refused is not None:
                    limit.refused.count += 1
                return limit
        return None

    cdef int occupy(self) noexcept:
        cdef SeatLimit limit
        for limit in self.limits:
            limit.seats.taken += 1
        return 0

    cdef int give_back(self) noexcept:
        cdef SeatLimit limit
        for limit in self.limits:
            limit.seats.taken -= 1
        return 0
