"""Numbers drawn by weight, in time that grows with the logarithm of how many there are.

The running sums of the weights are made anew, all of them, after any of the weights has changed.
"""

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    NOBODY = 0xFFFFFFFF

cdef struct Lots:
    double* sums             # of the weights up to and with each number; owned
    uint32_t room

# Room for so many sums; whether there is. Without it nothing has changed.
cdef bint lots_reserve(Lots* lots, uint32_t count) noexcept nogil
cdef void lots_free(Lots* lots) noexcept nogil
# One of first … last - 1, and not `but` (NOBODY: any of them). There are two at least, or one with NOBODY.
cdef uint32_t lots_draw(
    const Lots* lots, uint32_t first, uint32_t last, uint32_t but, uint64_t random
) noexcept nogil
