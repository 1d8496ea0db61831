"""Power of two choices over the ready candidates.

A candidate is ready, or set aside; membership changes are O(1).

Where weights differ, both choices are drawn by weight, and the second is taken only if the load of the first
is more than four times its own: while all are about equally fast, shares are those of the weights. Loads are
compared as if each had as much room for exchanges as its weight says.

Where some are near, the better of two of them is taken, unless it is more than four times as slow as the
better of two others; 32 exchanges that wait count as one more round trip then, for who calls much has many
under way wherever they go. While fewer than five of seven of those near are ready, only 1.4 times their share
stays with them.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.balance.bias cimport Bias
from linkerd2_py._ext.balance.ewma cimport Ewma
from linkerd2_py._ext.balance.lots cimport Lots
from linkerd2_py._ext.io.actor cimport Actor

cdef class ReadySet

cdef class Candidate(Actor):
    """One endpoint as the balancer sees it; the pool's Endpoint derives from it.

    Each exchange that is given to it is begun once and leaves `pending` once, through complete, give_up or
    cancel; what became of it is said once more, at its end, through succeed or fail. An exchange whose end
    says nothing about the endpoint (the client broke it) says neither.
    """
    cdef Ewma ewma
    cdef Bias bias
    cdef uint32_t pending                 # dispatched, first response byte not yet seen
    cdef int position                     # index in the ready set, -1 when set aside
    # What its share is in proportion to, and whether it is preferred. Not changed while it is in a set.
    cdef double weight
    cdef bint near
    cdef double decay_ns                  # of the set it was last in; 0 = never in one
    # How long exchanges have waited in vain since its last answer, all together.
    cdef double silent_ns
    cdef int64_t answered_ns              # when that was
    # Owned; the set it was last in, None = never in one. A cycle while it is a member: remove breaks it.
    cdef ReadySet home
    cdef int begin(self) noexcept         # pending += 1
    # pending -= 1 and a sample from dispatch to first response body frame
    cdef int complete(self, int64_t rtt_ns, int64_t now) noexcept
    # pending -= 1 after so long without an answer: the endpoint is believed to be as slow as it let wait, and
    # no slower
    cdef int give_up(self, int64_t waited_ns, int64_t now) noexcept
    cdef int cancel(self) noexcept        # pending -= 1, no sample
    cdef inline int succeed(self, int64_t sent, int64_t now) noexcept:
        return self.forgive(sent, now) if self.bias.failing else 0

    # weight: 0 to 1, how much the failure says about the endpoint. hold_ns: how long it asked to be left
    # alone (Retry-After), or 0.
    cdef int fail(self, double weight, int64_t sent, int64_t hold_ns, int64_t now) noexcept
    # The share of recent exchanges that failed, as it is believed now.
    cdef double failing(self, int64_t now) noexcept
    cdef int forgive(self, int64_t sent, int64_t now) noexcept   # private
    cdef double left(self, int64_t now) noexcept                 # private

cdef class ReadySet:
    cdef double decay_ns                  # 10 s
    cdef double default_rtt_ns            # 30 ms
    cdef int64_t max_hold_ns              # 300 s: the longest time that an endpoint may ask to be left alone
    cdef bint penalizes                   # failures make an endpoint less attractive
    cdef list members                     # owned references: those near, then the others
    cdef int near                         # how many of them are
    cdef int near_known                   # how many there would be if all were ready; others say it
    # Fewer members than this, or any number where weights differ or some are near, are picked by rule.
    cdef uint32_t fewest
    cdef int odd                          # members whose weight is not 1
    cdef bint uneven                      # weights differ
    cdef bint stale                       # members have changed since `lots` and `uneven` were made
    cdef Lots lots                        # owned
    cdef uint64_t seed                    # xorshift state; settable for tests
    cdef uint64_t picks                   # so far
    cdef int add(self, Candidate candidate, int64_t now) except -1      # idempotent
    cdef int remove(self, Candidate candidate) except -1 # idempotent; in-flight exchanges are not touched
    # None when empty; the lower load of two distinct random members; tie: the first
    cdef Candidate pick(self, int64_t now)
    cdef int size(self) noexcept
    cdef Candidate member(self, Py_ssize_t at)
    cdef uint64_t next_random(self) noexcept

    # -- private
    cdef Candidate pick_by_rule(self, int64_t now)
    cdef Candidate pick_of(self, uint32_t first, uint32_t last, int64_t now)
    cdef uint32_t draw(self, uint32_t first, uint32_t last, uint32_t but) noexcept
    cdef bint stays_near(self) noexcept
    cdef int put(self, Candidate candidate, int at) except -1
    cdef int changed(self) noexcept
    cdef int settle(self) noexcept
    cdef Candidate sound(self, Candidate chosen, uint32_t first, uint32_t last, int64_t now)
    # Whether `factor` times the load of one is less than that of the other, both as if round trips were
    # longer by `slack_ns`, and as if each took `room` exchanges at once.
    cdef bint is_less(
        self, Candidate one, Candidate other, int64_t now, double factor=*, double slack_ns=*,
        double room=*,
    ) noexcept
