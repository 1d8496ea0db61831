# cython: language_level=3
"""xorshift64*, begun anew in each process: proxies that start together do not choose in step."""

from libc.stdint cimport uint64_t
from posix.unistd cimport getpid

from linkerd2_py._ext.core.clock cimport now_ns

cdef uint64_t GOLDEN = 0x9E3779B97F4A7C15
cdef uint64_t STAR = 0x2545F4914F6CDD1D
cdef uint64_t seed = (<uint64_t> now_ns() ^ <uint64_t> getpid() << 32) * GOLDEN | 1


cdef uint64_t random_below(uint64_t bound) noexcept nogil:
    global seed
    seed ^= seed >> 12
    seed ^= seed << 25
    seed ^= seed >> 27
    # The high half is the better one, and a product needs no division.
    return ((seed * STAR) >> 32) * bound >> 32
