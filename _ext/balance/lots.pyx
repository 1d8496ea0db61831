# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The arithmetic of lots. Chance comes in as an argument."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc

# 2^-53: the upper 53 bits of a random number become one from 0 to below 1.
cdef double UNIT = 1.0 / (<uint64_t> 1 << 53)


cdef bint lots_reserve(Lots* lots, uint32_t count) noexcept nogil:
    cdef double* grown
    if count <= lots.room:
        return True
    grown = <double*> realloc(lots.sums, count * sizeof(double))
    if grown is NULL:
        return False
    lots.sums = grown
    lots.room = count
    return True


cdef void lots_free(Lots* lots) noexcept nogil:
    free(lots.sums)
    lots.sums = NULL
    lots.room = 0


cdef double before(const Lots* lots, uint32_t number) noexcept nogil:
    return lots.sums[number - 1] if number else 0.0


cdef uint32_t lots_draw(
    const Lots* lots, uint32_t first, uint32_t last, uint32_t but, uint64_t random
) noexcept nogil:
    """Whoever is left out takes no room: what lies behind moves up by its weight."""
    cdef double low = before(lots, first)
    cdef double left_out = 0.0
    cdef double point
    cdef uint32_t middle, begin = first, end = last - 1
    if but != NOBODY:
        left_out = lots.sums[but] - before(lots, but)
    point = low + (random >> 11) * UNIT * (lots.sums[last - 1] - low - left_out)
    if but != NOBODY and point >= before(lots, but):
        point += left_out
    while begin < end:
        middle = begin + (end - begin) // 2
        if lots.sums[middle] > point:
            end = middle
        else:
            begin = middle + 1
    # Sums of weights that differ by many orders are rounded.
    if begin == but:
        return begin + 1 if begin + 1 < last else begin - 1
    return begin
