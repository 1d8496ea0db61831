"""A program kept running: started again after it ends, with back-off, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Callable
from typing import Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.logs import printable
from linkerd2_py.controlplane.local.programs.exits import describe_exit
from linkerd2_py.controlplane.local.programs.guarding import Guard
from linkerd2_py.controlplane.local.programs.process import Process, Program, start
from linkerd2_py.controlplane.local.state.owned import StateError

logger = logging.getLogger(__name__)

BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MOST_S: Final = 30.0
STABLE_S: Final = 10.0
"""A run this long forgives earlier exits: the back-off starts over."""
CRASH_LOOP_EXITS: Final = 3
"""This many short runs in a row are called a crash loop."""


class Container:
    """One program of a pod; with `once` it is to end well, and is started again only after a failure.

    `on_change` is called whenever what is read here has changed. `problem` says why it does not run as it
    should, until whoever asks it is content; `last_exit` why it was last started again, at
    `last_exit_at`, and stays.
    """

    def __init__(
        self,
        program: Program,
        *,
        guard: Guard,
        clock: Clock,
        on_change: Callable[[], None],
        once: bool = False,
    ) -> None:
        self._program = program
        self._once = once
        self._guard = guard
        self._clock = clock
        self._on_change = on_change
        self._stopping = asyncio.Event()
        self._process: Process | None = None
        self.restarts = 0
        self.last_exit = ""
        self.last_exit_at = 0.0
        self.short_runs = 0
        self.problem = ""

    @property
    def running(self) -> bool:
        return self._process is not None and not self._process.exited.done()

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def crash_looping(self) -> bool:
        return self.short_runs >= CRASH_LOOP_EXITS

    async def run(self) -> None:
        """Keep it running until `stop` (with `once`: until it ends well); returns when it has ended for good.

        May be called again after it failed: a program that runs is not started a second time.
        """
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            status = await self._run_once()
            if self._stopping.is_set():
                return
            if self._once and status == 0:
                self.problem = ""
                return
            if self._clock.monotonic() - began >= STABLE_S:
                self.short_runs = 0
            self.short_runs += 1
            self._tell_end(status)
            self._on_change()
            await self._pause(backoff_s(self.short_runs))

    async def stop(self, *, grace_s: float) -> None:
        """SIGTERM, SIGKILL after the grace; no further start. May be repeated."""
        self._stopping.set()
        if self._process is not None:
            await self._process.stop(grace_s=grace_s)

    def _tell_end(self, status: int | None) -> None:
        """Count and say why it is to be started again."""
        if status is not None:
            self.problem = describe_exit(status, last_line=last_line(self._program))
        self.restarts += 1
        self.last_exit, self.last_exit_at = self.problem, self._clock.wall()
        pause_s = backoff_s(self.short_runs)
        logger.warning(
            "%s: %s; started again in %gs", self._program.log.stem, self.problem, pause_s
        )

    async def _run_once(self) -> int | None:
        """One run's exit status, or None (with `problem` set) if it could not start."""
        if not self.running:
            self._process = self._start()
        if self._process is None:
            return None
        self._on_change()
        status = await asyncio.shield(self._process.exited)
        self._on_change()
        return status

    def _start(self) -> Process | None:
        self.problem = missing_program(self._program)
        if self.problem:
            self.short_runs = CRASH_LOOP_EXITS
            return None
        try:
            return start(self._program, guard=self._guard)
        except StateError as error:
            self.problem = str(error)
            return None
        except (OSError, ValueError) as error:
            # ValueError: what no program can be given, such as a word with a NUL in it.
            reason = error.strerror if isinstance(error, OSError) else error
            self.problem = f"cannot start {self._program.argv[0]!r}: {reason}"
            return None

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def backoff_s(short_runs: int) -> float:
    """Seconds before the next start: doubles from half a second to half a minute."""
    return min(BACKOFF_FIRST_S * 2.0 ** min(short_runs - 1, 16), BACKOFF_MOST_S)


def missing_program(program: Program) -> str:
    """Why the program cannot be found, or an empty text."""
    name = program.argv[0]
    relative = "/" in name and not name.startswith("/")
    where = f"{program.cwd}/{name}" if relative else name
    if shutil.which(where, path=program.env.get("PATH")):
        return ""
    return f"command not found: {name!r}"


def last_line(program: Program) -> str:
    """The last line it wrote, shortened, with nothing in it that a terminal obeys; or an empty text."""
    try:
        with program.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    written = [line.strip() for line in lines if line.strip()]
    return printable(written[-1][:300]) if written else ""
