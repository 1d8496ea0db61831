"""Tasks: named, owned, supervised; what fails is told once, counted every time, and goes on."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from linkerd2_py.base import tasks
from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.base.tasks import cancel_all, count_failures, report_failure, spawn, supervise
from tests.support.wait import eventually_async

AT_ONCE = BackoffRange(min_s=0.0, max_s=0.0, jitter=0.0)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Failures of this test by kind, in a process that has told of none."""
    monkeypatch.setattr(tasks, "_told", set())
    found: Counter[str] = Counter()

    def count(kind: str, failures: int) -> None:
        found[kind] += failures

    stop = count_failures(count)
    yield found
    stop()


class Unlucky:
    """Work that fails a number of times, then waits for ever."""

    def __init__(self, *, times: int, error: BaseException) -> None:
        self.runs = 0
        self._times = times
        self._error = error

    async def run(self) -> None:
        self.runs += 1
        if self.runs <= self._times:
            raise self._error
        await asyncio.Event().wait()


async def test_spawned_task_has_its_name_and_result() -> None:
    async def seven() -> int:
        return 7

    task = spawn(seven(), name="seven")
    assert (task.get_name(), await task) == ("seven", 7)


async def test_cancel_all_waits_for_the_end() -> None:
    task = spawn(asyncio.Event().wait(), name="forever")
    await cancel_all([task])
    await cancel_all([task])
    assert task.cancelled()


async def test_a_spawned_task_that_fails_is_logged_and_counted(
    counted: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.wait([spawn(Unlucky(times=1, error=OSError("no luck")).run(), name="try web-0")])
    assert "try web-0 failed: OSError('no luck')" in caplog.text
    assert counted == {"try": 1}


@pytest.mark.parametrize(
    "error", [OverflowError("x"), asyncio.CancelledError(), ExceptionGroup("x", [ValueError()])]
)
async def test_supervised_work_goes_on_whatever_it_raises(
    counted: Counter[str], error: BaseException
) -> None:
    work = Unlucky(times=3, error=error)
    task = supervise(work.run, name="work web-0", pauses=AT_ONCE)
    await eventually_async(lambda: work.runs == 4)
    assert counted == {"work": 3}
    assert not task.done()
    await cancel_all([task])
    assert task.cancelled()
    assert counted == {"work": 3}


async def test_supervised_work_that_returns_is_over() -> None:
    async def work() -> None:
        return

    task = supervise(work, name="work")
    await task
    assert task.done()


async def test_a_task_that_waits_for_its_next_run_can_be_cancelled() -> None:
    work = Unlucky(times=9, error=OSError())
    task = supervise(work.run, name="work", pauses=BackoffRange(60.0, 60.0, 0.0))
    await eventually_async(lambda: work.runs == 1)
    await cancel_all([task])
    assert (task.cancelled(), work.runs) == (True, 1)


async def test_runs_are_ever_further_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    work = Unlucky(times=4, error=OSError())
    task = supervise(work.run, name="work", pauses=BackoffRange(1.0, 4.0, 0.0))
    await eventually_async(lambda: work.runs == 5)
    await cancel_all([task])
    assert [pause for pause in pauses if pause >= 1] == [1.0, 2.0, 4.0, 4.0]


async def test_each_way_to_fail_is_told_once(
    counted: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    works = [
        Unlucky(times=3, error=OSError("web-0 is away")),
        Unlucky(times=3, error=OSError("web-1 is away")),
        Unlucky(times=3, error=ValueError("another way")),
    ]
    with caplog.at_level(logging.INFO, logger=tasks.__name__):
        started = [supervise(work.run, name=f"ask {n}", pauses=AT_ONCE) for n, work in enumerate(works)]  # fmt: skip
        await eventually_async(lambda: all(work.runs == 4 for work in works))
    await cancel_all(started)
    assert [record.getMessage() for record in caplog.records] == [
        "ask 0 failed: OSError('web-0 is away')",
        "ask 2 failed: ValueError('another way')",
    ]
    assert all(record.exc_info for record in caplog.records)
    assert counted == {"ask": 9}


async def test_a_kind_is_known_before_it_fails(counted: Counter[str]) -> None:
    """A counter that appears with its first failure has not grown, for who asks by how much it grew."""
    task = supervise(Unlucky(times=0, error=OSError()).run, name="watch a.yaml")
    assert dict(counted) == {"watch": 0}
    await cancel_all([task])


def test_who_stopped_counting_hears_nothing(counted: Counter[str]) -> None:
    heard: list[str] = []
    stop = count_failures(lambda kind, _: heard.append(kind))
    report_failure("a b", ValueError())
    stop()
    report_failure("a b", ValueError())
    assert heard == ["a"]
    assert counted == {"a": 2}
