# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The choice of an endpoint.

It knows loads and membership; whether an endpoint is ready is decided by who adds and removes it.
"""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from posix.unistd cimport getpid
from linkerd2_py._ext.balance.bias cimport bias_answer, bias_fail, bias_factor, bias_left
from linkerd2_py._ext.balance.ewma cimport ewma_init, ewma_load, ewma_observe
from linkerd2_py._ext.balance.lots cimport NOBODY, lots_draw, lots_free, lots_reserve
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
# Weights are left for what is more than as much better as this: one answer in a hundred may well be three
# times as late as others.
cdef double ALIKE = 4.0
cdef double SLACK_NS = 5e6
# Those near are left for what is more than that: the way to another zone costs time, and money.
cdef double FAR = 4.0
cdef double ROOM = 32.0
# Of those near some may be missing before the others get a part of what was theirs: 1 / 1.4 is five of seven.
cdef double SPARE = 1.4
cdef uint32_t ANY_NUMBER = 0xFFFFFFFF
# Named, for a literal of this size in an expression would be a Python int.
cdef uint64_t GOLDEN = <uint64_t> 0x9E3779B97F4A7C15
cdef uint64_t STAR = <uint64_t> 0x2545F4914F6CDD1D


cdef class Candidate(Actor):

    def __cinit__(self):
        self.position = -1
        self.weight = 1.0

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
        self.fewest = 2
        # Proxies that start together must not pick in step.
        self.seed = (<uint64_t> now_ns() ^ <uint64_t> getpid() << 32 ^ <uint64_t> <void*> self) * GOLDEN | 1

    def __dealloc__(self):
        lots_free(&self.lots)

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
        candidate.position = self.size() - 1
        self.odd += candidate.weight != 1.0
        if candidate.near:
            # The first of the others goes to the end.
            self.put(self.member(self.near), candidate.position)
            self.put(candidate, self.near)
            self.near += 1
        return self.changed()

    cdef int remove(self, Candidate candidate) except -1:
        cdef int at = candidate.position
        cdef Candidate last
        if at < 0:
            return 0
        if at >= self.size() or self.member(at) is not candidate:
            check(False, b"a candidate is removed from a set that it is not in")
            return 0
        self.odd -= candidate.weight != 1.0
        if at < self.near:
            self.near -= 1
            self.put(self.member(self.near), at)
            at = self.near
        last = <Candidate> self.members.pop()
        if at < self.size():
            self.put(last, at)
        candidate.position = -1
        return self.changed()

    cdef int put(self, Candidate candidate, int at) except -1:
        self.members[at] = candidate
        candidate.position = at
        return 0

    cdef int changed(self) noexcept:
        self.stale = True
        self.fewest = 2 if self.odd == 0 and self.near == 0 else ANY_NUMBER
        return 0

    cdef int settle(self) noexcept:
        """What follows from its members. Where there is no memory for weights, all are alike."""
        cdef uint32_t count = <uint32_t> self.size()
        cdef uint32_t i
        cdef double sum = 0.0
        self.stale = self.uneven = False
        if self.odd and lots_reserve(&self.lots, count):
            for i in range(count):
                self.uneven |= self.member(i).weight != self.member(0).weight
                sum += self.member(i).weight
                self.lots.sums[i] = sum
        if not self.uneven and self.near == 0:
            self.fewest = 2
        return 0

    cdef Candidate pick(self, int64_t now):
        cdef uint32_t count = <uint32_t> PyList_GET_SIZE(self.members)
        cdef uint64_t random
        cdef uint32_t one
        cdef uint32_t other
        cdef Candidate first
        cdef Candidate second
        cdef double first_load
        if count < self.fewest:
            if count < 2:
                return self.member(0) if count else None
            return self.pick_by_rule(now)
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
            return self.sound(second if self.is_less(second, first, now) else first, 0, count, now)
        first_load = ewma_load(&first.ewma, now, self.decay_ns, first.pending)
        if ewma_load(&second.ewma, now, self.decay_ns, second.pending) < first_load:
            return second
        return first

    cdef Candidate pick_by_rule(self, int64_t now):
        """Of two at least, where weights differ or some are near."""
        cdef uint32_t count = <uint32_t> self.size()
        cdef uint32_t near = <uint32_t> self.near
        cdef Candidate chosen, other
        if self.stale:
            self.settle()
            if self.fewest == 2:
                return self.pick(now)
        self.picks += 1
        if near == 0 or near == count:
            return self.pick_of(0, count, now)
        other = self.pick_of(near, count, now)
        if not self.stays_near():
            return other
        chosen = self.pick_of(0, near, now)
        return other if self.is_less(other, chosen, now, FAR, SLACK_NS, ROOM) else chosen

    cdef bint stays_near(self) noexcept:
        """What those near that are ready can take besides their own is no matter; what is more than that, is
        for the others."""
        cdef double share = SPARE * self.near
        if share >= self.near_known:
            return True
        return <double> (self.next_random() >> 32) * self.near_known < share * 4294967296.0

    cdef Candidate pick_of(self, uint32_t first, uint32_t last, int64_t now):
        """Of a part of the members, at least one."""
        cdef uint32_t one = self.draw(first, last, NOBODY)
        cdef Candidate chosen = self.member(one)
        cdef Candidate other
        if last - first == 1:
            return chosen
        other = self.member(self.draw(first, last, one))
        if self.uneven:
            if self.is_less(other, chosen, now, ALIKE, SLACK_NS):
                chosen = other
        elif self.is_less(other, chosen, now):
            chosen = other
        return self.sound(chosen, first, last, now) if chosen.bias.failing else chosen

    cdef uint32_t draw(self, uint32_t first, uint32_t last, uint32_t but) noexcept:
        """One of a part of them, by weight; not `but`."""
        cdef uint64_t random = self.next_random()
        cdef uint32_t found
        if self.uneven:
            return lots_draw(&self.lots, first, last, but, random)
        if but == NOBODY:
            return first + <uint32_t> ((random >> 32) * (last - first) >> 32)
        found = first + <uint32_t> ((random >> 32) * (last - first - 1) >> 32)
        return found + 1 if found >= but else found

    cdef Candidate sound(self, Candidate chosen, uint32_t first, uint32_t last, int64_t now):
        """`chosen`, or a better one of some more of that part: two draws alone would often meet only
        endpoints that fail."""
        cdef Candidate another
        cdef int draws = MORE_DRAWS
        while draws and chosen.failing(now) > SUSPECT:
            draws -= 1
            another = self.member(self.draw(first, last, NOBODY))
            if self.is_less(another, chosen, now):
                chosen = another
        return chosen

    cdef bint is_less(
        self, Candidate one, Candidate other, int64_t now, double factor=1.0, double slack_ns=0.0,
        double room=1.0,
    ) noexcept:
        """As far as an endpoint fails its own speed is worth nothing, and it is taken to be as slow as the
        other; two that mostly fail are even. The one with more weight has more room for what it was given."""
        cdef double left = one.left(now) if one.bias.failing else 1.0
        cdef double other_left = other.left(now) if other.bias.failing else 1.0
        cdef double failing = one.bias.failing * left
        cdef double other_failing = other.bias.failing * other_left
        cdef double least = min(one.weight, other.weight) / room
        cdef double load = factor * bias_factor(failing) * (one.pending * (least / one.weight) + 1.0)
        cdef double other_load = bias_factor(other_failing) * (other.pending * (least / other.weight) + 1.0)
        cdef double rtt, other_rtt
        if failing > MOSTLY and other_failing > MOSTLY:
            return load < other_load
        rtt = one.ewma.estimate_ns * left if failing else ewma_load(&one.ewma, now, self.decay_ns, 0)
        if other_failing:
            other_rtt = other.ewma.estimate_ns * other_left
        else:
            other_rtt = ewma_load(&other.ewma, now, self.decay_ns, 0)
        rtt += slack_ns
        other_rtt += slack_ns
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
