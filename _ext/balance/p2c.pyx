# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The choice of an endpoint. It knows loads and membership; whether an endpoint is ready is decided by who adds and removes it."""

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from posix.unistd cimport getpid
from linkerd2_py._ext.balance.ewma cimport ewma_init, ewma_load, ewma_observe
from linkerd2_py._ext.core.clock cimport now_ns
from linkerd2_py._ext.core.debug cimport check
from linkerd2_py._ext.io.loop cimport Actor

# What Linkerd's proxy gives its balancers.
cdef double DECAY_NS = 10e9
cdef double DEFAULT_RTT_NS = 30e6
# Named, for a literal of this size in an expression would be a Python int.
cdef uint64_t GOLDEN = <uint64_t> 0x9E3779B97F4A7C15
cdef uint64_t STAR = <uint64_t> 0x2545F4914F6CDD1D


cdef class Candidate(Actor):
    """One endpoint as the balancer sees it. Its owner keeps begin paired with exactly one of complete and cancel."""

    def __cinit__(self):
        self.position = -1

    cdef int begin(self) noexcept:
        self.pending += 1
        return 0

    cdef int complete(self, int64_t rtt_ns, int64_t now) noexcept:
        self.cancel()
        ewma_observe(&self.ewma, max(0, rtt_ns), now, self.decay_ns)
        return 0

    cdef int cancel(self) noexcept:
        check(self.pending > 0, b"an endpoint completes more than was dispatched to it")
        if self.pending > 0:
            self.pending -= 1
        return 0


cdef class ReadySet:
    """The endpoints that may be picked."""

    def __cinit__(self):
        self.decay_ns = DECAY_NS
        self.default_rtt_ns = DEFAULT_RTT_NS
        self.members = []
        # Proxies that start together must not pick in step.
        self.seed = (<uint64_t> now_ns() ^ <uint64_t> getpid() << 32 ^ <uint64_t> <void*> self) * GOLDEN | 1

    cdef int add(self, Candidate candidate, int64_t now) except -1:
        """A candidate seen for the first time starts with the default round trip; one that comes back keeps its estimate."""
        if candidate.position >= 0:
            return 0
        if candidate.decay_ns == 0:
            ewma_init(&candidate.ewma, self.default_rtt_ns, now)
        candidate.decay_ns = self.decay_ns
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
        if count < 2:
            return self.member(0) if count else None
        random = self.next_random()
        # High and low halves scaled to [0, count) and [0, count - 1); stepping over `one` makes the pair distinct and uniform.
        one = <uint32_t> ((random >> 32) * count >> 32)
        other = <uint32_t> (<uint64_t> <uint32_t> random * (count - 1) >> 32)
        if other >= one:
            other += 1
        first, second = self.member(one), self.member(other)
        if ewma_load(&second.ewma, now, self.decay_ns, second.pending) < ewma_load(&first.ewma, now, self.decay_ns, first.pending):
            return second
        return first

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
