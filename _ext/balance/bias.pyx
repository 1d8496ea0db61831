# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The arithmetic of failures. Time and picks come in as arguments; nothing here looks at a clock."""

from libc.math cimport exp
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    PICKS = 64               # for each member of the set, in which what is known of a failing one fades by e
    STEEPNESS = 12           # e^12 is more than any queue at another endpoint; e^(12/8), one failure, is 4.5
    DECAY_MIN_NS = 1000000   # as for the round trip: keeps the division defined

# How far a failure moves the share towards 1, and an answer back to 0: an endpoint that is well again gets
# its share of the load within a few answers.
cdef double FAILED = 1.0 / 8
cdef double ANSWERED = 1.0 / 4
# What is left of the share counts as none: e^(12/256) weighs 5 %, less than round trips vary.
cdef double FORGOTTEN = 1.0 / 256
# The share that a request to stay away amounts to, however few failures there were.
cdef double ASKED = 0.75


cdef double bias_left(
    const Bias* bias, int64_t now, uint64_t picks, int members, double decay_ns,
) noexcept nogil:
    cdef double age, fair
    if now <= bias.since_ns:
        return 1.0
    age = <double> (now - bias.since_ns) / max(decay_ns, <double> DECAY_MIN_NS)
    fair = <double> (picks - bias.since_pick) / (PICKS * <double> max(members, 1))
    return exp(-min(age, fair))


cdef bint bias_fail(
    Bias* bias, double weight, double left, int64_t sent, int64_t hold_ns, int64_t now, uint64_t picks,
) noexcept nogil:
    if sent < bias.judged_ns:
        return False
    bias.failing *= left
    bias.failing += (1.0 - bias.failing) * weight * FAILED
    if hold_ns > 0 and bias.failing < ASKED:
        bias.failing = ASKED
    bias.since_ns = max(bias.since_ns, now + hold_ns)
    bias.since_pick = picks
    bias.judged_ns = now
    return True


cdef void bias_answer(Bias* bias, double left, int64_t sent, int64_t now, uint64_t picks) noexcept nogil:
    if sent < bias.judged_ns:
        return
    bias.failing *= left * (1.0 - ANSWERED)
    bias.since_ns = max(bias.since_ns, now)
    bias.since_pick = picks
    if bias.failing < FORGOTTEN:
        bias.failing = 0


cdef double bias_factor(double failing) noexcept nogil:
    return exp(STEEPNESS * failing)
