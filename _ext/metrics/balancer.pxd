"""PREFIX_balancer_*: the endpoints that a balancer chooses among, who waits for one, and the gate that shuts
when none was there in time."""

from libc.stdint cimport int64_t
from linkerd2_py._ext.metrics.registry cimport Registry
from linkerd2_py._ext.metrics.series cimport Counter, Distribution, Gauge

cdef class BreakerMetrics:
    """Of the breakers of its endpoints: ours, for Linkerd tells of none."""
    cdef readonly Counter opened, reopened, closed, kept

cdef class BalancerMetrics:
    """Of one balancer. Several may have the same labels: levels are what all of them have together."""
    cdef bytes prefix, labels
    cdef Gauge ready, pending, endpoints, length
    cdef readonly Counter resets, adds, removes        # by what discovery said: all, more, fewer
    cdef readonly Counter requests                     # those that had to wait
    cdef readonly Counter opens, shuts                 # of the gate; it is open at first, which counts
    cdef Distribution latencies
    cdef Py_ssize_t told_ready, told_endpoints, told_length
    # What there is now; the same again costs three comparisons.
    cdef int tell(self, Py_ssize_t ready, Py_ssize_t endpoints, Py_ssize_t length) noexcept
    cdef int waited(self, int64_t took_ns) noexcept    # until an endpoint was there

cdef BreakerMetrics breaker_metrics(Registry registry, BalancerMetrics of)
cdef BalancerMetrics balancer_metrics(Registry registry, bytes prefix, bytes labels)
