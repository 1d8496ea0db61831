"""Peak-EWMA round-trip estimate (Finagle, tower, Linkerd): jumps up to a worse sample, decays exponentially
to better ones."""

from libc.stdint cimport int64_t

cdef struct Ewma:
    double estimate_ns
    int64_t stamp_ns

cdef void ewma_init(Ewma* ewma, double default_rtt_ns, int64_t now) noexcept nogil
cdef void ewma_observe(Ewma* ewma, double rtt_ns, int64_t now, double decay_ns) noexcept nogil
# estimate decayed to `now` (without storing) times (pending + 1)
cdef double ewma_load(const Ewma* ewma, int64_t now, double decay_ns, unsigned int pending) noexcept nogil
