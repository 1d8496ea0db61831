# cython: language_level=3
"""Doors for tests into the balancer's C interface. Not part of a wheel."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from linkerd2_py._ext.balance.accrual cimport (
    STEP_CLOSE, STEP_NONE, STEP_REOPEN, STEP_TRIP, STEP_WAIT, VERDICT_FAILURE, VERDICT_LIMITED,
    VERDICT_NOTHING, VERDICT_SUCCESS, Accrual, Breaker, Step, Verdict, new_breaker, state_name,
)
from linkerd2_py._ext.balance.ewma cimport Ewma, ewma_init, ewma_load, ewma_observe
from linkerd2_py._ext.balance.lots cimport NOBODY, Lots, lots_draw, lots_free, lots_reserve
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


def weigh(Candidate candidate, double weight=1.0, *, near=False):
    candidate.weight = weight
    candidate.near = near


def know_near(ReadySet ready, int count):
    ready.near_known = count


def near(ReadySet ready):
    return ready.near


def draw(list weights, uint32_t first, uint32_t last, uint64_t random, but=None):
    """By the lots of these weights; a weight is used as it is."""
    cdef Lots lots
    cdef uint32_t i
    cdef double sum = 0.0
    memset(&lots, 0, sizeof(lots))
    lots_reserve(&lots, <uint32_t> len(weights))
    for i in range(<uint32_t> len(weights)):
        sum += <double> weights[i]
        lots.sums[i] = sum
    try:
        return lots_draw(&lots, first, last, NOBODY if but is None else <uint32_t> but, random)
    finally:
        lots_free(&lots)


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


cdef dict VERDICTS = {
    "nothing": VERDICT_NOTHING, "success": VERDICT_SUCCESS, "limited": VERDICT_LIMITED,
    "failure": VERDICT_FAILURE,
}
cdef dict STEPS = {
    STEP_NONE: "", STEP_TRIP: "trip", STEP_REOPEN: "reopen", STEP_CLOSE: "close", STEP_WAIT: "wait",
}


def breaker(Accrual accrual not None, *, now):
    return new_breaker(accrual, now)


def hear(Breaker breaker not None, str verdict not None, *, sent, now):
    cdef int heard = VERDICTS[verdict]
    return STEPS[<int> breaker.hear(<Verdict> heard, sent, now)]


def open_for(Breaker breaker not None, *, now, hold_ns=0, chance=0.0):
    return breaker.open(hold_ns, chance, now)


def probe(Breaker breaker not None, *, now):
    breaker.probe(now)


def on_time(Breaker breaker not None, *, now, answered=False):
    return STEPS[<int> breaker.on_time(answered, now)]


def breaker_state(Breaker breaker not None):
    return state_name(breaker)


def trips_by_rate(Breaker breaker not None):
    return bool(breaker.by_rate)
