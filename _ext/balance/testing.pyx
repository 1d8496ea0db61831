# cython: language_level=3
"""Doors for tests into the balancer's C interface. Not part of a wheel."""

from linkerd2_py._ext.balance.ewma cimport Ewma, ewma_init, ewma_load, ewma_observe
from linkerd2_py._ext.balance.p2c cimport Candidate, ReadySet


cdef class Estimate:
    """An Ewma of its own."""
    cdef Ewma ewma
    cdef double decay_ns

    def __init__(self, default_rtt_ns, *, now, decay_ns):
        self.decay_ns = decay_ns
        ewma_init(&self.ewma, default_rtt_ns, now)

    def observe(self, double rtt_ns, *, now):
        ewma_observe(&self.ewma, rtt_ns, now, self.decay_ns)

    def load(self, *, now, pending = 0):
        return ewma_load(&self.ewma, now, self.decay_ns, pending)


def begin(Candidate candidate):
    candidate.begin()


def complete(Candidate candidate, long long rtt_ns, *, now):
    candidate.complete(rtt_ns, now)


def cancel(Candidate candidate):
    candidate.cancel()


def give_up(Candidate candidate, long long waited_ns, *, now):
    candidate.give_up(waited_ns, now)


def succeed(Candidate candidate, *, sent, now):
    candidate.succeed(sent, now)


def fail(Candidate candidate, *, sent, now, weight = 1.0, hold_ns = 0):
    candidate.fail(weight, sent, hold_ns, now)


def failing(Candidate candidate, *, now):
    return candidate.failing(now)


def pending(Candidate candidate):
    return candidate.pending


def position(Candidate candidate):
    return candidate.position


def estimate_ns(Candidate candidate):
    return candidate.ewma.estimate_ns


def ready_set(*, seed, **options):
    cdef ReadySet ready = ReadySet(**options)
    ready.seed = seed
    return ready


def seed_of(ReadySet ready):
    return ready.seed


def add(ReadySet ready, Candidate candidate, *, now):
    ready.add(candidate, now)


def remove(ReadySet ready, Candidate candidate):
    ready.remove(candidate)


def pick(ReadySet ready, *, now):
    return ready.pick(now)


def size(ReadySet ready):
    return ready.size()


def members(ReadySet ready):
    return list(ready.members)


def pick_many(ReadySet ready, long count, *, now):
    """`count` picks, each begun and completed after a millisecond: for counting instructions."""
    cdef Candidate chosen
    cdef long long moment = now
    for _ in range(count):
        moment += 1000000
        chosen = ready.pick(moment)
        chosen.begin()
        chosen.complete(1000000, moment)
