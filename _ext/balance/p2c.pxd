"""Power of two choices over the ready candidates. A candidate is ready, or set aside; membership changes are O(1)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from linkerd2_py._ext.balance.ewma cimport Ewma
from linkerd2_py._ext.io.loop cimport Actor

cdef class Candidate(Actor):
    """One endpoint as the balancer sees it; the pool's Endpoint derives from it."""
    cdef Ewma ewma
    cdef uint32_t pending                 # dispatched, first response byte not yet seen
    cdef int position                     # index in the ready set, -1 when set aside
    cdef double decay_ns                  # of the set it was last in; 0 = never in one
    cdef int begin(self) noexcept         # pending += 1
    # pending -= 1 and a sample from dispatch to first response body frame (or end, or error)
    cdef int complete(self, int64_t rtt_ns, int64_t now) noexcept
    cdef int cancel(self) noexcept        # pending -= 1, no sample

cdef class ReadySet:
    cdef double decay_ns                  # 10 s
    cdef double default_rtt_ns            # 30 ms
    cdef list members                     # owned references; order has no meaning
    cdef uint64_t seed                    # xorshift state; settable for tests
    cdef int add(self, Candidate candidate, int64_t now) except -1      # idempotent
    cdef int remove(self, Candidate candidate) except -1 # idempotent; in-flight exchanges are not touched
    cdef Candidate pick(self, int64_t now)               # None when empty; the lower load of two distinct random members; tie: the first
    cdef int size(self) noexcept
    cdef Candidate member(self, Py_ssize_t at)
    cdef uint64_t next_random(self) noexcept
