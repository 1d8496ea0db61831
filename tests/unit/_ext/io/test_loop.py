"""The loop: timers, deferred work, failing actors, and the promise to be called again."""

import gc
import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import AlarmActor, DeferActor, RecorderSession

MS = 1_000_000


def readable(loop: Loop) -> bool:
    return bool(select.select([loop.fileno()], [], [], 0)[0])


def test_a_timer_fires_once_and_not_before_its_deadline(loop):
    alarm = AlarmActor(loop)
    deadline = alarm.arm(1, 15 * MS)
    assert loop.run_until(lambda: alarm.fired)
    (kind, moment) = alarm.fired[0]
    assert kind == 1
    assert moment >= deadline
    assert not alarm.armed()
    assert not loop.run_until(lambda: len(alarm.fired) > 1, 0.03)


def test_a_disarmed_timer_does_not_fire(loop):
    alarm = AlarmActor(loop)
    alarm.arm(1, 5 * MS)
    alarm.arm(2, 20 * MS)
    alarm.disarm(1)
    alarm.disarm(1)
    assert loop.run_until(lambda: alarm.fired)
    assert [kind for kind, _ in alarm.fired] == [2]


def test_arming_again_moves_a_timer_later_and_earlier(loop):
    alarm = AlarmActor(loop)
    alarm.arm(1, 5 * MS)
    later = alarm.arm(1, 40 * MS)
    alarm.arm(2, 60_000 * MS)
    alarm.arm(2, 10 * MS)
    assert loop.run_until(lambda: len(alarm.fired) == 2)
    assert [kind for kind, _ in alarm.fired] == [2, 1]
    assert alarm.fired[1][1] >= later


def test_a_timer_may_arm_itself_again_when_it_fires(loop):
    alarm = AlarmActor(loop)
    alarm.hook = lambda kind, actor: len(actor.fired) < 3 and actor.arm(kind, 0)
    alarm.arm(1, 0)
    assert loop.run_until(lambda: len(alarm.fired) == 3)


def test_a_timer_that_is_due_can_still_be_disarmed(loop):
    alarm = AlarmActor(loop)
    alarm.hook = lambda kind, actor: actor.disarm(3 - kind)
    alarm.arm(1, 0)
    alarm.arm(2, 0)
    assert loop.run_until(lambda: alarm.fired)
    assert not loop.run_until(lambda: len(alarm.fired) > 1, 0.03)


def test_more_timers_than_one_turn_takes_all_fire(loop):
    alarm = AlarmActor(loop)
    for kind in range(1000):
        alarm.arm(kind, 0)
    assert loop.run_until(lambda: len(alarm.fired) == 1000)
    assert loop.stats()["timers"] == 0


def test_a_delay_beyond_reason_does_not_overflow(loop):
    alarm = AlarmActor(loop)
    assert alarm.arm(1, 2**63 - 1) > loop.now
    assert alarm.arm(2, -5) <= loop.now
    assert loop.run_until(lambda: alarm.fired)
    assert alarm.armed() == {1}


@given(
    st.lists(
        st.tuples(st.sampled_from(["arm", "disarm"]), st.integers(0, 7), st.integers(0, 40)),
        min_size=1,
        max_size=40,
    )
)
def test_exactly_the_armed_timers_fire_none_early(steps):
    loop = Loop()
    alarm = AlarmActor(loop)
    deadlines: dict[int, int] = {}
    for verb, kind, delay_ms in steps:
        if verb == "arm":
            deadlines[kind] = alarm.arm(kind, delay_ms * MS)
        else:
            alarm.disarm(kind)
            deadlines.pop(kind, None)
    assert alarm.armed() == deadlines.keys()
    assert loop.run_until(lambda: len(alarm.fired) == len(deadlines))
    assert {kind for kind, _ in alarm.fired} == deadlines.keys()
    assert all(moment >= deadlines[kind] for kind, moment in alarm.fired)
    # A tick is 10 ms: timers of different ticks keep their order. One that was put off waits where it was,
    # and goes with its old tick when the loop comes so late that both are over.
    armed = [kind for verb, kind, _ in steps if verb == "arm"]
    ticks = [deadlines[kind] // (10 * MS) for kind, _ in alarm.fired if armed.count(kind) == 1]
    assert ticks == sorted(ticks)
    loop.close()


def test_an_armed_timer_keeps_its_owner_alive(loop):
    fired = []
    AlarmActor(loop, lambda kind, actor: fired.append(kind)).arm(7, 5 * MS)
    gc.collect()
    assert loop.run_until(lambda: fired)


def test_deferred_work_runs_once_however_often_it_was_asked_for(loop):
    ran = []
    actor = DeferActor(loop, lambda actor: ran.append(1))
    actor.defer()
    actor.defer()
    assert loop.run_until(lambda: ran)
    assert not loop.run_until(lambda: len(ran) > 1, 0.02)


def test_work_deferred_from_outside_makes_the_loop_readable(loop):
    assert not readable(loop)
    DeferActor(loop, lambda actor: None).defer()
    assert readable(loop)
    loop.drain()
    assert not readable(loop)


def test_work_that_defers_itself_yields_and_is_called_again(loop):
    ran = []

    def again(actor: DeferActor) -> None:
        ran.append(1)
        actor.defer()

    DeferActor(loop, again).defer()
    loop.drain()
    first = len(ran)
    assert first >= 1
    assert readable(loop)
    loop.drain()
    assert len(ran) > first


def test_drain_inside_drain_does_nothing(loop):
    ran = []

    def nested(actor: DeferActor) -> None:
        ran.append("in")
        loop.drain()
        ran.append("out")

    DeferActor(loop, nested).defer()
    DeferActor(loop, nested).defer()
    assert loop.run_until(lambda: len(ran) == 4)
    assert ran == ["in", "out", "in", "out"]


def test_a_failing_actor_is_reported_and_the_others_go_on(loop, failures):
    ran = []
    broken = DeferActor(loop, lambda actor: 1 / 0)
    broken.defer()
    DeferActor(loop, lambda actor: ran.append(1)).defer()
    assert loop.run_until(lambda: ran)
    assert broken.broken == 1
    assert "ZeroDivisionError" in failures.pop()
    assert loop.stats()["errors"] == 1


def test_an_actor_that_always_fails_and_defers_itself_does_not_block_the_loop(loop, failures):
    def again(actor: DeferActor) -> None:
        actor.defer()
        raise ValueError

    DeferActor(loop, again).defer()
    loop.drain()
    assert failures
    failures.clear()


def test_a_failing_timer_is_reported_and_the_others_fire(loop, failures):
    alarm = AlarmActor(loop, lambda kind, actor: 1 / (kind - 1))
    alarm.arm(1, 0)
    alarm.arm(2, 0)
    assert loop.run_until(lambda: len(alarm.fired) == 2)
    assert "ZeroDivisionError" in failures.pop()


def test_an_interrupt_goes_through_and_no_work_is_lost(loop):
    ran = []

    def interrupt(actor: DeferActor) -> None:
        raise KeyboardInterrupt

    DeferActor(loop, interrupt).defer()
    DeferActor(loop, lambda actor: ran.append(1)).defer()
    with pytest.raises(KeyboardInterrupt):
        loop.drain()
    assert readable(loop)
    loop.drain()
    assert ran


def test_without_on_error_each_type_of_failure_is_printed_once(capsys):
    loop = Loop()
    for _ in range(3):
        DeferActor(loop, lambda actor: 1 / 0).defer()
    loop.drain()
    assert capsys.readouterr().err.count("Traceback") == 1
    assert loop.stats()["errors"] == 3
    loop.close()


def test_a_failing_on_error_does_not_end_the_loop(capsys):
    loop = Loop()
    loop.on_error = lambda error, actor: 1 / 0
    ran = []
    DeferActor(loop, lambda actor: 1 / 0).defer()
    DeferActor(loop, lambda actor: ran.append(1)).defer()
    assert loop.run_until(lambda: ran)
    assert "ZeroDivisionError" in capsys.readouterr().err
    loop.close()


def test_close_is_idempotent_and_forgets_everything(pair):
    loop = Loop()
    alarm = AlarmActor(loop)
    alarm.arm(1, 0)
    actor = DeferActor(loop, lambda actor: None)
    actor.defer()
    loop.close()
    loop.close()
    assert not alarm.armed()
    loop.drain()
    actor.defer()
    alarm.arm(1, 0)
    assert not alarm.armed()
    assert loop.run_until(lambda: False) is False


def test_closing_the_loop_resets_its_connections_without_callbacks(loop, pair):
    session, peer = pair()
    loop.run_until(lambda: False, 0.01)
    loop.close()
    assert session.names() == ["attached"]
    assert peer.receive_to_end()[1].value == "reset"


def test_an_event_that_was_queued_for_a_closed_source_is_dropped(loop, pair):
    sessions: list[RecorderSession] = []

    def close_all(name: str, session: RecorderSession) -> None:
        if name == "readable":
            for other in sessions:
                if other.attached:
                    other.abort()

    peers = []
    for _ in range(8):
        session, peer = pair(RecorderSession(close_all))
        sessions.append(session)
        peers.append(peer)
    loop.run_until(lambda: False, 0.01)
    for peer in peers:
        peer.send(b"x")
    assert loop.run_until(lambda: any("readable" in s.names() for s in sessions))
    assert sum("readable" in session.names() for session in sessions) == 1
    assert loop.stats()["sources"] == 0


def test_a_slot_that_was_taken_again_gets_only_its_own_events(loop, pair):
    newcomers = []

    def replace(name: str, session: RecorderSession) -> None:
        if name == "readable":
            for other in sessions:
                if other.attached:
                    other.abort()
                    newcomers.append(pair())

    sessions, peers = [], []
    for _ in range(4):
        session, peer = pair(RecorderSession(replace))
        sessions.append(session)
        peers.append(peer)
    loop.run_until(lambda: False, 0.01)
    for peer in peers:
        peer.send(b"old")
    assert loop.run_until(lambda: newcomers)
    for _fresh, peer in newcomers:
        peer.send(b"new")
    assert loop.run_until(lambda: all(fresh.received for fresh, _ in newcomers))
    assert all(fresh.received == b"new" for fresh, _ in newcomers)
