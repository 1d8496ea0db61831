"""Random numbers for choices among equals. Nothing secret is made of them."""

from libc.stdint cimport uint64_t

# From 0 to `bound` - 1; `bound` is at least 1 and at most 2^32.
cdef uint64_t random_below(uint64_t bound) noexcept nogil
