# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The choice of an endpoint.

It knows loads and membership; whether an endpoint is ready is decided by who adds and removes it.
"""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from posix.unistd cimport getpid
from linkerd2_py._ext.balance.bias cimport bias_answer, bias_fail, bias_factor, bias_left
from linkerd2_py._ext.balance.ewma cimport ewma_init, ewma_load, ewma_observe
from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.core.debug cimport check
from linkerd2_py._ext.io.actor cimport Actor

cdef enum:
    MORE_DRAWS = 32    # where half of the endpoints fail, all of them find a failing one once in four billion

# What Linkerd's proxy gives its balancers.
cdef double DECAY_NS = 10e9
cdef double DEFAULT_RTT_NS = 30e6
# Five minutes: an endpoint that asks to be left alone is asked again, whatever it said.
cdef int64_t MAX_HOLD_NS = 300000000000
# Of two that fail more often than not, neither is worth more.
cdef double MOSTLY = 0.5
# Less than one fresh failure (1/8) and more than an old one: others are drawn instead.
cdef double SUSPECT = 1.0 / 16
# Named, for a literal of this size in an expression would be a Python int.
cdef uint64_t GOLDEN = <uint64_t> 0x9E3779B97F4A7C15
cdef uint64_t STAR = <uint64_t> 0x2545F4914F6CDD1D


cdef class Candidate(Actor):

    def __cinit__(self):
        self.position = -1

    cdef int begin(self) noexcept:
        self.pending += 1
        return 0

    cdef int complete(self, int64_t rtt_ns, int64_t now) noexcept:
        self.cancel()
        self.silent_ns = 0
        self.answered_ns = now
        ewma_observe(&self.ewma, max(0, rtt_ns), now, self.decay_ns)
        return 0

    cdef int give_up(self, int64_t waited_ns, int64_t now) noexcept:
        """A peak: whoever does not answer is not known to be any faster.

        Waits that overlap are the same time only once.
        """
        cdef double believed
        waited_ns = max(0, waited_ns)
        self.cancel()
        self.silent_ns += <double> waited_ns
        believed = max(<double> waited_ns, min(self.silent_ns, <double> (now - self.answered_ns)))
        if believed > ewma_load(&self.ewma, now, self.decay_ns, 0):
            ewma_observe(&self.ewma, believed, now, self.decay_ns)
        return 0

    cdef int cancel(self) noexcept:
        check(self.pending > 0, b"an endpoint completes more than was dispatched to it")
        if self.pending > 0:
            self.pending -= 1
        return 0

    cdef int fail(self, double weight, int64_t sent, int64_t hold_ns, int64_t now) noexcept:
        """The estimate is left as answers made it and starts to fade anew: how fast an endpoint fails does
        not make it a fast one."""
        cdef ReadySet home = self.home
        if home is None or not home.penalizes:
            return 0
        hold_ns = min(hold_ns, home.max_hold_ns)
        if bias_fail(&self.bias, weight, self.left(now), sent, hold_ns, now, home.picks):
            self.ewma.estimate_ns = max(self.ewma.estimate_ns, <double> (now - sent))
            self.ewma.stamp_ns = now
        return 0

    cdef int forgive(self, int64_t sent, int64_t now) noexcept:
        bias_answer(&self.bias, self.left(now), sent, now, self.home.picks)
        return 0

    cdef double failing(self, int64_t now) noexcept:
        return self.bias.failing * self.left(now) if self.bias.failing else 0.0

    cdef double left(self, int64_t now) noexcept:
        return bias_left(&self.bias, now, self.home.picks, self.home.size(), self.decay_ns)


cdef class ReadySet:
    """The endpoints that may be picked."""

    def __init__(
        self,
        *,
        double decay_ns=DECAY_NS,
        double default_rtt_ns=DEFAULT_RTT_NS,
        bint penalizes=True,
        int64_t max_hold_ns=MAX_HOLD_NS,
    ):
        self.decay_ns = decay_ns
        self.default_rtt_ns = default_rtt_ns
        self.penalizes = penalizes
        self.max_hold_ns = max_hold_ns
        self.members = []
        # Proxies that start together must not pick in step.
        self.seed = (<uint64_t> now_ns() ^ <uint64_t> getpid() << 32 ^ <uint64_t> <void*> self) * GOLDEN | 1

    cdef int add(self, Candidate candidate, int64_t now) except -1:
        """A candidate seen for the first time starts with the default round trip; one that comes back keeps
        its estimate."""
        if candidate.position >= 0:
            return 0
        if candidate.decay_ns == 0:
            ewma_init(&candidate.ewma, self.default_rtt_ns, now)
        candidate.decay_ns = self.decay_ns
        candidate.home = self
        self.members.append(candidate)
        candidate.position = <int> PyList_GET_SIZE(self.members) - 1
        return 0

    cdef int remove(self, Candidate candidate) except -1:
        cdef int at = candidate.position
        cdef Candidate last
        if at < 0:
            return 0
        if at >= self.size() or self.member(at) is not candidate:
            check(False, b"a candidate is removed from a set that it is not in")
            return 0
        candidate.position = -1
        last = <Candidate> self.members.pop()
        if last is not candidate:
            self.members[at] = last
            last.position = at
        return 0

    cdef Candidate pick(self, int64_t now):
        cdef uint32_t count = <uint32_t> PyList_GET_SIZE(self.members)
        cdef uint64_t random
        cdef uint32_t one
        cdef uint32_t other
        cdef Candidate first
        cdef Candidate second
        cdef double first_load
        if count < 2:
            return self.member(0) if count else None
        self.picks += 1
        random = self.next_random()
        # High and low halves scaled to [0, count) and [0, count - 1); stepping over `one` makes the pair
        # distinct and uniform.
        one = <uint32_t> ((random >> 32) * count >> 32)
        other = <uint32_t> (<uint64_t> <uint32_t> random * (count - 1) >> 32)
        if other >= one:
            other += 1
        first, second = self.member(one), self.member(other)
        if first.bias.failing + second.bias.failing > 0:
            return self.sound(second if self.is_less(second, first, now) else first, now)
        first_load = ewma_load(&first.ewma, now, self.decay_ns, first.pending)
        if ewma_load(&second.ewma, now, self.decay_ns, second.pending) < first_load:
            return second
        return first

    cdef Candidate sound(self, Candidate chosen, int64_t now):
        """`chosen`, or a better one of some more: two draws alone would often meet only endpoints that
        fail."""
        cdef Candidate another
        cdef int draws = MORE_DRAWS
        while draws and chosen.failing(now) > SUSPECT:
            draws -= 1
            another = self.member(<Py_ssize_t> ((self.next_random() >> 32) * <uint64_t> self.size() >> 32))
            if self.is_less(another, chosen, now):
                chosen = another
        return chosen

    cdef bint is_less(self, Candidate one, Candidate other, int64_t now) noexcept:
        """As far as an endpoint fails its own speed is worth nothing, and it is taken to be as slow as the
        other; two that mostly fail are even."""
        cdef double left = one.left(now) if one.bias.failing else 1.0
        cdef double other_left = other.left(now) if other.bias.failing else 1.0
        cdef double failing = one.bias.failing * left
        cdef double other_failing = other.bias.failing * other_left
        cdef double load = bias_factor(failing) * (one.pending + 1.0)
        cdef double other_load = bias_factor(other_failing) * (other.pending + 1.0)
        cdef double rtt, other_rtt
        if failing > MOSTLY and other_failing > MOSTLY:
            return load < other_load
        rtt = one.ewma.estimate_ns * left if failing else ewma_load(&one.ewma, now, self.decay_ns, 0)
        if other_failing:
            other_rtt = other.ewma.estimate_ns * other_left
        else:
            other_rtt = ewma_load(&other.ewma, now, self.decay_ns, 0)
        return load * max(rtt, failing * other_rtt) < other_load * max(other_rtt, other_failing * rtt)

    cdef int size(self) noexcept:
        return <int> PyList_GET_SIZE(self.members)

    cdef Candidate member(self, Py_ssize_t at):
        # `at` is below the size: a position, or scaled to it by pick.
        return <Candidate> <object> PyList_GET_ITEM(self.members, at)

    cdef uint64_t next_random(self) noexcept:
        """xorshift64*: the multiplication makes the low half as good as the high one."""
        cdef uint64_t x = self.seed if self.seed else GOLDEN
        x ^= x >> 12
        x ^= x << 25
        x ^= x >> 27
        self.seed = x
        return x * STAR
