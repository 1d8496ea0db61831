"""The engine's loop inside an outer event loop: every kind of work gets its turn, and the outer loop gets its own."""

import asyncio
from collections.abc import Iterator

import pytest
import uvloop

from linkerd2_py._ext.io.listener import Listener
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.io.testing import AcceptWith, AlarmActor, DeferActor, EchoSession

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
    asyncio.get_running_loop().add_reader(loop.fileno(), loop.drain)
    return loop


def release(loop: Loop) -> None:
    asyncio.get_running_loop().remove_reader(loop.fileno())
    loop.close()


def test_bytes_are_served(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop = await engine()
        listener = Listener(loop, ("127.0.0.1", 0), AcceptWith(EchoSession))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.address.port)
        for size in (1, 1000, 3_000_000):
            writer.write(b"x" * size)
            assert await asyncio.wait_for(reader.readexactly(size), 10) == b"x" * size
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b""
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
        await asyncio.wait_for(done.wait(), 10)
        done.clear()
        DeferActor(loop, lambda actor: done.set()).defer()
        await asyncio.wait_for(done.wait(), 10)
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
            await asyncio.wait_for(asyncio.sleep(0.001), 10)
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
        before = loop.stats()["drains"]
        await asyncio.sleep(0.05)
        assert loop.stats()["drains"] == before
        release(loop)

    runner.run(story())
