"""Named asyncio tasks with an owner: the one way this package starts a task.

`spawn` is for work that ends by itself, `supervise` for work that goes on for as long as its owner wants it:
what that raises ends one run, not the work. asyncio keeps only weak references to tasks; here is a strong one
until the task ends.

A task is called `KIND` or `KIND OF-WHAT`. By kind failures are counted, whether anybody awaits the task or
not; the log tells each way to fail once with its traceback, for what fails over and over would fill it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar

from linkerd2_py.base.backoff import Backoff, BackoffRange, unit_random
from linkerd2_py.base.clock import SystemClock

T = TypeVar("T")

FAILURES: Final = "task_failures"
"""The counter that planes keep with `count_failures`, by the label `task`; Prometheus adds `_total`."""
FAILURES_HELP: Final = "Failures of the process's own tasks that nobody had foreseen, by kind."
PAUSES: Final = BackoffRange(min_s=0.1, max_s=30.0, jitter=0.5)
"""Between two runs of supervised work; a run that lasts longer than the longest forgives earlier failures."""

Work = Callable[[], Coroutine[Any, Any, None]]
Count = Callable[[str, int], None]
"""Called with a kind and how many failures of it there are more; with 0 when a kind becomes known."""

logger = logging.getLogger(__name__)
_running: set[asyncio.Task[Any]] = set()
_counts: list[Count] = []
_told: set[tuple[str, str, str]] = set()


def spawn(coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start `coroutine` on the running loop under `name`; the result may be awaited or ignored."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_on_done)
    return task


def supervise(work: Work, *, name: str, pauses: BackoffRange = PAUSES) -> asyncio.Task[None]:
    """Run `work` until it returns or the task is cancelled; after a failure it is called again, with growing
    pauses.

    What must outlast a failure does not belong into the coroutine's own variables.
    """
    _count(name, failures=0)
    return spawn(_keep_running(work, name=name, pauses=pauses), name=name)


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel and wait for the end of each; what they raised is already logged."""
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)


def report_failure(name: str, error: BaseException) -> None:
    """Log and count what failed in the work called `name`, for code that goes on by itself after a failure of
    one part.
    """
    _count(name, failures=1)
    way = _kind(name), type(error).__qualname__, _place(error)
    if way in _told:
        logger.debug("%s failed again: %r", name, error)
        return
    _told.add(way)
    logger.error("%s failed: %r", name, error, exc_info=error)


def count_failures(count: Count) -> Callable[[], None]:
    """Let `count` hear of every failure in this process from now on, until what is returned is called."""
    _counts.append(count)
    return lambda: _counts.remove(count)


async def _keep_running(work: Work, *, name: str, pauses: BackoffRange) -> None:
    backoff = Backoff(pauses, source=unit_random, clock=SystemClock())
    while True:
        backoff.begin()
        try:
            await work()
            return
        except asyncio.CancelledError as error:
            # Somebody else's cancellation that came up through what was awaited is a failure like any other.
            if _is_told_to_end():
                raise
            report_failure(name, error)
        except Exception as error:  # noqa: BLE001  # that nothing ends the work for good is what this is for
            report_failure(name, error)
        await asyncio.sleep(backoff.next_delay_s())


def _is_told_to_end() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _on_done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        report_failure(task.get_name(), error)


def _count(name: str, *, failures: int) -> None:
    for count in _counts:
        count(_kind(name), failures)


def _kind(name: str) -> str:
    return name.partition(" ")[0]


def _place(error: BaseException) -> str:
    """Where it was raised; texts of errors have names and numbers in them that come and go."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
