"""How connections to endpoints are made, kept and given up. Python-constructible with keywords, then
read-only."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.io.address cimport SocketOptions

cdef class PoolSettings:
    cdef readonly double decay_ns            # peak-EWMA decay
    cdef readonly double default_rtt_ns      # estimate of an endpoint not measured yet
    cdef readonly bint penalizes_failures    # failed exchanges make an endpoint less attractive
    # The longest time for which an endpoint's Retry-After is honoured
    cdef readonly int64_t max_retry_after_ns
    # No ready endpoint for so long => 504, then 503 at once; no connection or stream of one: 504
    cdef readonly int64_t failfast_ns
    # Waiting for a ready endpoint, per target; for a connection or a stream, per endpoint
    cdef readonly int queue_capacity
    cdef readonly int max_in_flight          # per table; more are shed with 503
    cdef readonly int64_t connect_timeout_ns
    cdef readonly int64_t backoff_min_ns
    cdef readonly int64_t backoff_max_ns
    cdef readonly double backoff_jitter      # 0.1 = up to ten per cent longer
    cdef readonly int64_t http1_idle_ns      # a pooled HTTP/1 connection is closed after so long without use
    cdef readonly int http1_max_idle         # per endpoint
    # HTTP/1 connects under way, per endpoint; who finds so many waits for one of them
    cdef readonly int max_dials
    # Per endpoint; another is made when the streams that the peer allows are all in use
    cdef readonly int http2_max_connections
    cdef readonly SocketOptions socket
    cdef readonly Limits limits
