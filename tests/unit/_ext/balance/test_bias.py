"""What the balancer learns from failures: single steps, and whole services in virtual time."""

import math
import random

import pytest

from linkerd2_py._ext.balance import testing as door
from linkerd2_py._ext.balance.p2c import Candidate, ReadySet
from tests.unit._ext.balance.mesh_model import (
    MS,
    SECOND,
    Answer,
    Behaviour,
    Model,
    closes,
    good,
    hangs,
)

BROKEN = {
    "closes, resets or answers 502": closes(2),
    "fails after a while": closes(200),
    "answers 503 with Retry-After": closes(2, hold_ns=5 * SECOND),
    "fails in late trailers": closes(2, late=True),
    "hangs while clients have 50 ms": hangs(),
}
CLIENTS = {
    "one": {},
    "one, a request a second": {"pause_ms": 1000},
    "thirty-two": {"clients": 32},
}


def single() -> tuple[ReadySet, Candidate]:
    ready, candidate = door.ready_set(seed=1), Candidate()
    door.add(ready, candidate, now=0)
    return ready, candidate


# ---- single steps


def test_a_failure_moves_the_share_an_eighth_and_an_answer_a_quarter_back() -> None:
    _, candidate = single()
    door.fail(candidate, sent=0, now=MS)
    assert door.failing(candidate, now=MS) == 1 / 8
    door.succeed(candidate, sent=MS, now=MS)
    assert door.failing(candidate, now=MS) == 3 / 32


def test_a_failure_of_less_weight_moves_it_less() -> None:
    _, candidate = single()
    door.fail(candidate, sent=0, now=MS, weight=0.5)
    assert door.failing(candidate, now=MS) == 1 / 16


def test_exchanges_sent_before_the_last_failure_teach_nothing_new() -> None:
    _, candidate = single()
    door.fail(candidate, sent=0, now=10 * MS)
    for _ in range(100):
        door.fail(candidate, sent=5 * MS, now=11 * MS)
        door.succeed(candidate, sent=5 * MS, now=11 * MS)
    assert door.failing(candidate, now=10 * MS) == 1 / 8


def test_answers_make_a_failure_forgotten() -> None:
    _, candidate = single()
    door.fail(candidate, sent=0, now=MS)
    for _ in range(13):
        door.succeed(candidate, sent=MS, now=MS)
    assert door.failing(candidate, now=MS) == 0


def test_it_fades_by_e_in_the_decay_time_where_traffic_is_heavy() -> None:
    ready, candidate = single()
    door.add(ready, Candidate(), now=0)
    door.fail(candidate, sent=0, now=0)
    for _ in range(1000):
        door.pick(ready, now=0)
    assert door.failing(candidate, now=10 * SECOND) == pytest.approx(1 / 8 / math.e)


def test_it_fades_with_picks_where_traffic_is_rare() -> None:
    ready, candidate = single()
    door.add(ready, Candidate(), now=0)
    door.fail(candidate, sent=0, now=0)
    assert door.failing(candidate, now=3600 * SECOND) == 1 / 8
    for _ in range(128):
        door.pick(ready, now=3600 * SECOND)
    assert door.failing(candidate, now=3600 * SECOND) == pytest.approx(1 / 8 / math.e)


def test_an_endpoint_that_asks_to_be_left_alone_is_for_that_time() -> None:
    ready, candidate = single()
    other = Candidate()
    door.add(ready, other, now=0)
    door.fail(candidate, sent=0, now=0, hold_ns=20 * SECOND)
    for _ in range(10_000):
        chosen = door.pick(ready, now=20 * SECOND)
        assert chosen is other
    assert door.failing(candidate, now=20 * SECOND) == 0.75
    assert door.failing(candidate, now=40 * SECOND) < 0.2


def test_it_cannot_ask_for_longer_than_is_allowed() -> None:
    ready, candidate = door.ready_set(seed=1, max_hold_ns=SECOND), Candidate()
    other = Candidate()
    for one in (candidate, other):
        door.add(ready, one, now=0)
    door.fail(candidate, sent=0, now=0, hold_ns=3600 * SECOND)
    for _ in range(1000):
        door.pick(ready, now=0)
    assert door.failing(candidate, now=11 * SECOND) == pytest.approx(0.75 / math.e)


def test_failing_fast_does_not_make_an_endpoint_fast() -> None:
    _, candidate = single()
    door.begin(candidate)
    door.cancel(candidate)
    door.fail(candidate, sent=0, now=MS)
    assert door.estimate_ns(candidate) == 30 * MS


def test_failing_slowly_makes_it_slow() -> None:
    _, candidate = single()
    door.fail(candidate, sent=0, now=2 * SECOND)
    assert door.estimate_ns(candidate) == 2 * SECOND


def test_what_clients_gave_up_counts_as_long_as_they_waited() -> None:
    _, candidate = single()
    for seen_ms in (50, 100, 150):
        door.begin(candidate)
        door.give_up(candidate, 50 * MS, now=seen_ms * MS)
        assert door.estimate_ns(candidate) == seen_ms * MS
    assert door.failing(candidate, now=150 * MS) == 0


def test_waits_that_overlap_are_counted_once() -> None:
    _, candidate = single()
    for _ in range(10):
        door.begin(candidate)
    for _ in range(10):
        door.give_up(candidate, 50 * MS, now=50 * MS)
    assert door.estimate_ns(candidate) == 50 * MS


def test_a_client_that_gives_up_early_says_nothing() -> None:
    _, candidate = single()
    door.begin(candidate)
    door.give_up(candidate, 2 * MS, now=MS)
    assert door.estimate_ns(candidate) == 30 * MS
    assert door.pending(candidate) == 0


def test_an_answer_ends_the_silence() -> None:
    _, candidate = single()
    door.begin(candidate)
    door.give_up(candidate, 25 * MS, now=MS)
    door.begin(candidate)
    door.complete(candidate, MS, now=MS)
    door.begin(candidate)
    door.give_up(candidate, 25 * MS, now=MS)
    assert door.estimate_ns(candidate) == pytest.approx(30 * MS, rel=0.01)


def test_failures_can_be_left_out_of_account() -> None:
    ready, candidate = door.ready_set(seed=1, penalizes=False), Candidate()
    door.add(ready, candidate, now=0)
    door.fail(candidate, sent=0, now=2 * SECOND)
    assert (door.failing(candidate, now=0), door.estimate_ns(candidate)) == (0, 30 * MS)


def test_a_candidate_of_no_set_learns_nothing() -> None:
    candidate = Candidate()
    door.fail(candidate, sent=0, now=SECOND)
    door.succeed(candidate, sent=0, now=SECOND)
    assert door.failing(candidate, now=SECOND) == 0


def test_failures_are_remembered_while_set_aside() -> None:
    ready, candidate = single()
    door.remove(ready, candidate)
    door.fail(candidate, sent=0, now=0)
    door.add(ready, candidate, now=SECOND)
    assert door.failing(candidate, now=0) == 1 / 8


# ---- whole services


@pytest.mark.parametrize("clients", CLIENTS)
@pytest.mark.parametrize("kind", BROKEN)
def test_one_of_two_replicas_is_broken(kind: str, clients: str) -> None:
    model = Model([good(), BROKEN[kind]])
    assert model.run(60 if "second" in clients else 10, **CLIENTS[clients]) >= 0.9  # type: ignore[arg-type]
    seconds = 300 if "second" in clients else 10
    assert model.run(seconds, **CLIENTS[clients]) >= 0.95  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", BROKEN)
def test_one_of_four_replicas_with_many_clients(kind: str) -> None:
    assert Model([good(), good(), good(), BROKEN[kind]]).run(10, clients=32) >= 0.95


@pytest.mark.parametrize("kind", [kind for kind in BROKEN if "50 ms" not in kind])
def test_a_service_that_takes_seconds(kind: str) -> None:
    dice = random.Random(1)  # repeatable, not secret
    model = Model([lambda _now: Answer(dice.randrange(3 * SECOND)), BROKEN[kind]])
    model.run(60, clients=32)
    assert model.run(300, clients=32) >= 0.95


@pytest.mark.parametrize(("count", "working"), [(4, 2), (10, 1)])
def test_more_than_one_is_broken(count: int, working: int) -> None:
    model = Model([closes(2)] * (count - working) + [good()] * working)
    model.run(60)
    assert model.run(60) >= 0.95


@pytest.mark.parametrize("clients", [1, 32])
@pytest.mark.parametrize("kind", BROKEN)
def test_where_all_fail_the_choice_is_even_and_does_not_swing(kind: str, clients: int) -> None:
    model = Model([BROKEN[kind]] * 4)
    model.run(10, clients=clients)
    model.run(10, clients=clients)
    fair = sum(model.shares.values()) / 4
    assert all(0.8 * fair < share < 1.2 * fair for share in model.shares.values())
    assert model.longest_run <= 64


@pytest.mark.parametrize("clients", [1, 32])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_replica_that_recovers_gets_its_share_again(kind: str, clients: int) -> None:
    healthy_again = 61 * SECOND

    def mended(now: int) -> Answer:
        return good(20)(now) if now >= healthy_again else BROKEN[kind](now)

    model = Model([good(20), mended])
    model.run(60, clients=clients)
    model.run(60, clients=clients)
    assert model.run(10, clients=clients) == 1
    assert model.shares[1] >= 0.25 * sum(model.shares.values())


def test_a_broken_replica_is_tried_now_and_then_and_never_by_many_at_once() -> None:
    model = Model([good(20), closes(2)])
    model.run(30, clients=32)
    model.run(60, clients=32)
    assert 5 <= model.shares[1] <= 120


def test_after_all_have_failed_the_others_are_soon_tried_too() -> None:
    back = 61 * SECOND

    def mended(now: int) -> Answer:
        return good()(now) if now >= back else closes(20)(now)

    model = Model([mended] * 4)
    model.run(60, clients=32)
    model.run(30, clients=32)
    model.run(10, clients=32)
    assert all(share > 0.15 * sum(model.shares.values()) for share in model.shares.values())


def sometimes(rate: float, rtt_ms: float, seed: int) -> Behaviour:
    dice = random.Random(seed)  # repeatable, not secret

    def answer(_now: int) -> Answer:
        return Answer(round(rtt_ms * MS), served=dice.random() >= rate)

    return answer


def test_a_few_errors_everywhere_do_not_blind_it_for_latency() -> None:
    fast = [sometimes(0.01, 5, seed) for seed in range(3)]
    model = Model([*fast, sometimes(0.01, 500, 3)])
    model.run(30, clients=8)
    model.run(60, clients=8)
    total = sum(model.shares.values())
    assert model.shares[3] < 0.02 * total
    assert all(model.shares[which] > 0.2 * total for which in range(3))


def test_a_replica_that_fails_half_of_the_time_is_avoided() -> None:
    assert Model([good(), good(), sometimes(0.5, 5, 1)]).run(60, clients=8) > 0.97


def test_clients_that_hang_up_do_not_drive_traffic_from_a_fast_replica() -> None:
    dice = random.Random(1)  # repeatable, not secret

    def left_early(_now: int) -> Answer:
        if dice.random() < 0.3:
            return Answer(2 * MS, served=False, gives_up=True)
        return Answer(5 * MS)

    model = Model([good(), left_early])
    model.run(30, clients=8)
    model.run(30, clients=8)
    assert model.shares[1] > 0.4 * sum(model.shares.values())
