"""The engine's loop inside an outer event loop: every kind of work gets its turn, and the outer loop gets its
own.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest
import uvloop

from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import AcceptWith, AlarmActor, DeferActor, EchoSession
from linkerd2_py.base.event_loop import leave, run_inside
from tests.support.raw_socket import RawConnection
from tests.support.wait import in_time

MS = 1_000_000


@pytest.fixture(scope="module", autouse=True)
def libuv_pipe() -> None:
    """The first loop of a process makes libuv open a pipe that it keeps for good."""
    uvloop.new_event_loop().close()


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner


async def engine() -> Loop:
    loop = Loop()
    run_inside(loop, asyncio.get_running_loop())
    return loop


def release(loop: Loop) -> None:
    leave(loop, asyncio.get_running_loop())
    loop.close()


def sleeps_itself() -> bool:
    """On uvloop the engine sleeps for both."""
    return isinstance(asyncio.get_running_loop(), uvloop.Loop)


def test_bytes_are_served(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop = await engine()
        listener = Listener(loop, ("127.0.0.1", 0), AcceptWith(EchoSession))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.address.port)
        for size in (1, 1000, 3_000_000):
            writer.write(b"x" * size)
            assert await in_time(reader.readexactly(size), 10) == b"x" * size
        writer.write_eof()
        assert await in_time(reader.read(), 10) == b""
        writer.close()
        await writer.wait_closed()
        listener.close()
        release(loop)

    runner.run(story())


def test_timers_and_deferred_work_wake_the_outer_loop(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop = await engine()
        done = asyncio.Event()
        AlarmActor(loop, lambda kind, actor: done.set()).arm(1, 15 * MS)
        await in_time(done.wait(), 10)
        done.clear()
        DeferActor(loop, lambda actor: done.set()).defer()
        await in_time(done.wait(), 10)
        release(loop)

    runner.run(story())


def test_work_without_end_leaves_the_outer_loop_its_turns(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop = await engine()
        ran = 0

        def again(actor: DeferActor) -> None:
            nonlocal ran
            ran += 1
            actor.defer()

        DeferActor(loop, again).defer()
        for _ in range(20):
            await in_time(asyncio.sleep(0.001), 10)
        assert ran > 20
        assert loop.stats()["drains"] > 5
        release(loop)

    runner.run(story())


def test_an_idle_engine_does_not_wake_the_outer_loop(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop = await engine()
        AlarmActor(loop).arm(1, 60_000 * MS)
        DeferActor(loop, lambda actor: None).defer()
        await asyncio.sleep(0.02)
        before = loop.stats()
        await asyncio.sleep(0.05)
        after = loop.stats()
        # Asleep for both, it wakes once for the outer loop's timer and hands over.
        allowed = 1 if sleeps_itself() else 0
        assert after["drains"] - before["drains"] <= allowed
        assert after["sleeps"] - before["sleeps"] <= allowed
        release(loop)

    runner.run(story())


def test_traffic_needs_no_turn_of_the_outer_loop(runner: asyncio.Runner) -> None:
    """A client in a thread talks to the engine: on uvloop no message wakes anything but the engine."""

    def talk(address: tuple[str, int]) -> None:
        with RawConnection.connect(address) as client:
            for _ in range(100):
                client.send(b"ping")
                assert client.receive(4) == b"ping"

    async def story() -> None:
        loop = await engine()
        listener = Listener(loop, ("127.0.0.1", 0), AcceptWith(EchoSession))
        address = ("127.0.0.1", listener.address.port)
        before = loop.stats()
        await asyncio.to_thread(talk, address)
        after = loop.stats()
        assert after["events"] - before["events"] >= 100
        if sleeps_itself():
            assert after["drains"] - before["drains"] < 20
        listener.close()
        release(loop)

    runner.run(story())


def test_the_outer_loops_timers_calls_and_signals_come_on_time(runner: asyncio.Runner) -> None:
    """While the engine is busy with traffic, and while it sleeps for both."""

    async def story() -> None:
        loop = await engine()
        listener = Listener(loop, ("127.0.0.1", 0), AcceptWith(EchoSession))
        outer = asyncio.get_running_loop()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.address.port)
        signalled = asyncio.Event()
        outer.add_signal_handler(signal.SIGUSR1, signalled.set)
        for _ in range(20):
            writer.write(b"x" * 1000)
            assert await in_time(reader.readexactly(1000), 10) == b"x" * 1000
            began = outer.time()
            await in_time(asyncio.sleep(0.003), 10)
            assert outer.time() - began >= 0.002
            called = outer.create_future()
            threading.Timer(0.001, outer.call_soon_threadsafe, [called.set_result, None]).start()
            await in_time(called, 10)
        os.kill(os.getpid(), signal.SIGUSR1)
        await in_time(signalled.wait(), 10)
        outer.remove_signal_handler(signal.SIGUSR1)
        writer.close()
        await writer.wait_closed()
        listener.close()
        release(loop)

    runner.run(story())


def test_what_an_engine_callback_asks_of_the_outer_loop_is_done(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop = await engine()
        outer = asyncio.get_running_loop()
        for call in (outer.call_soon, lambda then: outer.call_later(0.002, then)):
            done = asyncio.Event()
            AlarmActor(loop, lambda kind, actor, call=call, done=done: call(done.set)).arm(
                1, 5 * MS
            )
            await in_time(done.wait(), 10)
        release(loop)

    runner.run(story())


def test_closing_the_engine_from_its_own_callback_ends_well(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop = await engine()
        closed = asyncio.Event()

        def close(kind: int, actor: AlarmActor) -> None:
            release(loop)
            closed.set()

        AlarmActor(loop, close).arm(1, 5 * MS)
        await in_time(closed.wait(), 10)
        await asyncio.sleep(0.002)

    runner.run(story())
