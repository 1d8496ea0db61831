"""What an endpoint's failures make of its load: the share of its recent exchanges that failed, and the factor
that follows from it.

A failure moves the share an eighth of the way to 1, an answer a quarter of the way back to 0, and it fades by
itself. The load is multiplied by e^(12 × share): one failure among many answers is 4.5 and soon forgotten,
nothing but failures is 160,000, which no queue at another endpoint outweighs.
A factor, for a penalty in seconds is nothing beside a service that takes longer.
"""

from libc.stdint cimport int64_t, uint64_t

cdef struct Bias:
    double failing       # the share, 0 to 1, at `since`; exactly 0 when there is nothing to consider
    int64_t since_ns     # it fades from then on; ahead of the clock while the endpoint asks to be left alone
    uint64_t since_pick  # the set's count of picks at that time
    # The last failure that counted: how exchanges end that were sent before it says nothing new.
    int64_t judged_ns

# What is left, 1 to 0, of what was known at `since`. It fades by e in `decay_ns`, and no faster than by e in
# 64 picks for each of `members`:
# an endpoint that is seldom needed is seldom tried.
cdef double bias_left(
    const Bias* bias, int64_t now, uint64_t picks, int members, double decay_ns,
) noexcept nogil
# An exchange that was sent at `sent` failed. Whether it counted. `left` is bias_left. hold_ns: how long the
# endpoint asked to be left alone, or 0.
cdef bint bias_fail(
    Bias* bias, double weight, double left, int64_t sent, int64_t hold_ns, int64_t now, uint64_t picks,
) noexcept nogil
cdef void bias_answer(Bias* bias, double left, int64_t sent, int64_t now, uint64_t picks) noexcept nogil
cdef double bias_factor(double failing) noexcept nogil
