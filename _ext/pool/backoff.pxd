"""How long an endpoint that cannot be reached is left alone."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.pool.settings cimport PoolSettings

# Uniform in [0, 1), for jitter.
cdef double unit_random() noexcept
# From backoff_min_ns, twice as long after each failure in a row, to backoff_max_ns, and up to a share of
# backoff_jitter longer, so that the endpoints of one outage are not all probed at the same moment.
cdef int64_t backoff_ns(PoolSettings settings, int failures) noexcept
