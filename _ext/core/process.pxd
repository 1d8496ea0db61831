"""Limits of the process as the kernel keeps them."""

from libc.stdint cimport uint64_t

# How many descriptors may be open at once: the soft limit, as it is now.
cdef uint64_t descriptors_max() noexcept
