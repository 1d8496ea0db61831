# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The arithmetic of the round-trip estimate. Time comes in as an argument; nothing here looks at a clock."""

from libc.math cimport exp
from libc.stdint cimport int64_t

cdef enum:
    DECAY_MIN_NS = 1000000    # Linkerd's floor; also keeps the division defined


cdef void ewma_init(Ewma* ewma, double default_rtt_ns, int64_t now) noexcept nogil:
    ewma.estimate_ns = default_rtt_ns
    ewma.stamp_ns = now


cdef double weight_of_past(const Ewma* ewma, int64_t now, double decay_ns) noexcept nogil:
    """1 at the last sample, falling to 0; a clock read earlier than the last sample counts as no time."""
    if now <= ewma.stamp_ns:
        return 1.0
    cdef double age = <double> (now - ewma.stamp_ns) / max(decay_ns, <double> DECAY_MIN_NS)
    # Between two samples of a busy endpoint: what the series leaves out is below the last bit.
    if age < 1e-5:
        return 1.0 - age + 0.5 * age * age
    return exp(-age)


cdef void ewma_observe(Ewma* ewma, double rtt_ns, int64_t now, double decay_ns) noexcept nogil:
    """A sample above the decayed estimate replaces it; a lower one moves it by the weight of the time since
    the last."""
    cdef double past = weight_of_past(ewma, now, decay_ns)
    if rtt_ns > ewma.estimate_ns * past:
        ewma.estimate_ns = rtt_ns
    else:
        ewma.estimate_ns = ewma.estimate_ns * past + rtt_ns * (1.0 - past)
    ewma.stamp_ns = max(now, ewma.stamp_ns)


cdef double ewma_load(const Ewma* ewma, int64_t now, double decay_ns, unsigned int pending) noexcept nogil:
    return ewma.estimate_ns * weight_of_past(ewma, now, decay_ns) * (pending + 1.0)
