# cython: language_level=3
"""Told when endpoints come, go, fail or recover, and by whoever has to wait: a request that finds an endpoint
ready passes none of this."""

from libc.stdint cimport int64_t

cdef tuple BOUNDS_S = (0.0005, 0.005, 0.05, 0.5, 1.0, 3.0)


cdef class BalancerMetrics:
    cdef int tell(self, Py_ssize_t ready, Py_ssize_t endpoints, Py_ssize_t length) noexcept:
        if ready != self.told_ready or endpoints != self.told_endpoints:
            self.ready.level += ready - self.told_ready
            self.pending.level += endpoints - ready - (self.told_endpoints - self.told_ready)
            self.endpoints.level += endpoints - self.told_endpoints
            self.told_ready = ready
            self.told_endpoints = endpoints
        if length != self.told_length:
            self.length.level += length - self.told_length
            self.told_length = length
        return 0

    cdef int waited(self, int64_t took_ns) noexcept:
        return self.latencies.observe(took_ns / 1e9)


cdef class BreakerMetrics:
    pass


cdef BreakerMetrics breaker_metrics(Registry registry, BalancerMetrics of):
    cdef BreakerMetrics made = BreakerMetrics.__new__(BreakerMetrics)
    name = of.prefix + b"breaker_changes_total"
    text = b"Breakers of endpoints that opened, opened again after a probe, closed, or were kept closed."
    rest = b"," + of.labels if of.labels else b""
    made.opened = registry.counted(name, text, b'to="open"' + rest)
    made.reopened = registry.counted(name, text, b'to="open_again"' + rest)
    made.closed = registry.counted(name, text, b'to="closed"' + rest)
    made.kept = registry.counted(name, text, b'to="kept_closed"' + rest)
    return made


cdef BalancerMetrics balancer_metrics(Registry registry, bytes prefix, bytes labels):
    cdef BalancerMetrics made = BalancerMetrics.__new__(BalancerMetrics)
    prefix += b"_balancer_"
    made.prefix, made.labels = prefix, labels
    rest = b"," + labels if labels else b""
    name, text = prefix + b"endpoints", b"Endpoints that may be chosen, and those that cannot be reached."
    made.ready = registry.gauged(name, text, b'endpoint_state="ready"' + rest)
    made.pending = registry.gauged(name, text, b'endpoint_state="pending"' + rest)
    made.endpoints = registry.gauged(
        prefix + b"p2c_endpoints", b"Endpoints that discovery named.", labels,
    )
    name, text = prefix + b"p2c_updates_total", b"What discovery said: all endpoints, one more, one less."
    made.resets = registry.counted(name, text, b'op="Reset"' + rest)
    made.adds = registry.counted(name, text, b'op="Add"' + rest)
    made.removes = registry.counted(name, text, b'op="Remove"' + rest)
    made.length = registry.gauged(
        prefix + b"queue_length", b"Requests that wait for an endpoint now.", labels,
    )
    made.requests = registry.counted(
        prefix + b"queue_requests_total", b"Requests that had to wait for an endpoint.", labels,
    )
    made.latencies = registry.spread(
        prefix + b"queue_latency_seconds", b"How long requests waited that got an endpoint, in seconds.",
        BOUNDS_S, labels,
    )
    made.opens = registry.counted(
        prefix + b"queue_gate_open_total", b"Times that requests were let in to the queue again.", labels,
    )
    made.shuts = registry.counted(
        prefix + b"queue_gate_shut_total", b"Times that no endpoint was there in time.", labels,
    )
    made.opens.count += 1
    return made
