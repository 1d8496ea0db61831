"""One turn of the loop does not take longer because more is ready: the rest waits for the next, in order, and
nothing starves.
"""

import time

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import AlarmActor, DeferActor, RecorderSession, connect_to
from tests.support.raw_socket import RawListener

PIECE_S = 0.0005
LIMIT_NS = 20_000_000


def work() -> None:
    """Uses the processor for longer than a phase may last."""
    end = time.thread_time() + PIECE_S
    while time.thread_time() < end:
        pass


def turns(loop: Loop) -> int:
    return loop.stats()["turns"]


def test_deferred_work_goes_on_in_the_next_turn(loop):
    ran = []

    def run(actor: DeferActor) -> None:
        work()
        ran.append(actor)

    actors = [DeferActor(loop, run) for _ in range(20)]
    for actor in actors:
        actor.defer()
    before = turns(loop)
    assert loop.run_until(lambda: len(ran) == len(actors))
    assert ran == actors
    # A small piece is taken for granted: the clock is looked at after a few.
    assert turns(loop) - before >= len(actors) // 5


def test_events_go_on_in_the_next_turn_and_deferred_work_between_them(loop, pair):
    order = []

    def on(name: str, session: RecorderSession) -> None:
        if name == "readable":
            work()
            order.append(session)

    pairs = [pair(RecorderSession(on)) for _ in range(24)]
    loop.drain()
    for _session, peer in pairs:
        peer.send(b"x")
    DeferActor(loop, lambda actor: order.append("deferred")).defer()
    before = turns(loop)
    assert loop.run_until(lambda: len(order) == len(pairs) + 1)
    assert sorted(map(id, order)) == sorted(
        map(id, [*(session for session, _ in pairs), "deferred"])
    )
    assert turns(loop) - before >= 4
    assert order.index("deferred") < len(pairs) - 4
    assert all(session.received == b"x" for session, _ in pairs)


def test_what_came_before_a_deadline_is_heard_before_it(loop, pair):
    """Also by a process that was not let run in the middle of a turn, and finds itself late at everything."""
    made = []

    def on(name: str, session: RecorderSession) -> None:
        if name != "readable":
            return
        if not made:
            made.append(RecorderSession())
            connect_to(loop, Address(*server.address), made[0], timeout_ns=LIMIT_NS)
            time.sleep(LIMIT_NS / 1e9 * 3)
        work()

    with RawListener() as server:
        pairs = [pair(RecorderSession(on)) for _ in range(24)]
        loop.drain()
        for _session, peer in pairs:
            peer.send(b"x")
        assert loop.run_until(lambda: made and made[0].names())
        assert made[0].names() == ["connected"]
        made[0].abort()


def test_due_timers_go_on_in_the_next_turn(loop):
    fired = []
    alarms = []
    for _ in range(20):
        alarm = AlarmActor(loop, lambda kind, actor: (work(), fired.append(actor)))
        alarm.arm(1, 0)
        alarms.append(alarm)
    before = turns(loop)
    assert loop.run_until(lambda: len(fired) == len(alarms))
    assert set(fired) == set(alarms)
    assert turns(loop) - before >= len(alarms) // 5


def test_a_source_that_ends_while_its_event_waits_hears_nothing(loop, pair):
    """What a turn did not get to is looked up again when its turn comes."""
    heard = []

    def on(name: str, session: RecorderSession) -> None:
        if name == "readable":
            work()
            heard.append(session)
            if len(heard) == 1:
                for other, _peer in pairs:
                    if other is not session:
                        other.abort()

    pairs = [pair(RecorderSession(on)) for _ in range(12)]
    loop.drain()
    for _session, peer in pairs:
        peer.send(b"x")
    assert loop.run_until(lambda: heard)
    loop.run_until(lambda: False, 0.05)
    assert len(heard) == 1


def test_what_was_put_off_is_worked_off_before_the_end(loop):
    ran = []
    for _ in range(20):
        DeferActor(loop, lambda actor: (work(), ran.append(actor))).defer()
    loop.work_off(30)
    assert len(ran) == 20


def test_work_without_end_is_worked_off_for_a_while(loop):
    endless = DeferActor(loop, lambda actor: actor.defer())
    endless.defer()
    loop.work_off(0.01)
    assert loop.stats()["deferred"] == 1
