# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Exponential, with jitter."""

from libc.stdint cimport uint64_t

cdef enum:
    # A shift by more would overflow for any sensible beginning, and is beyond backoff_max_ns long before.
    DOUBLINGS_MAX = 19

# Any number but zero; the golden ratio's bits are as good as any.
cdef uint64_t jitter_state = 0x9E3779B97F4A7C15


cdef double unit_random() noexcept:
    """Uniform in [0, 1): xorshift, for jitter only."""
    global jitter_state
    jitter_state ^= jitter_state << 13
    jitter_state ^= jitter_state >> 7
    jitter_state ^= jitter_state << 17
    return <double> (jitter_state >> 11) / 9007199254740992.0


cdef int64_t backoff_ns(PoolSettings settings, int failures) noexcept:
    cdef int64_t delay = settings.backoff_min_ns << min(failures - 1, <int> DOUBLINGS_MAX)
    if delay > settings.backoff_max_ns or delay <= 0:
        delay = settings.backoff_max_ns
    return delay + <int64_t> (delay * settings.backoff_jitter * unit_random())
