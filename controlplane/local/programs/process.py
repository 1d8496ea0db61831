"""One child process on the event loop: its own group, its output in a file, tied to our life.

No thread waits for it: its pidfd becomes readable when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkerd2_py.controlplane.local.place.placement import AS_WE_DO, LAUNCH, Placement
from linkerd2_py.controlplane.local.programs.guarding import Guard
from linkerd2_py.controlplane.local.state import owned

_FILES: Final = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
"""How many descriptors a program may have at first, as if nothing had been raised here."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, where, with which environment, and the file its output goes to."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    placement: Placement = AS_WE_DO


class Process:
    """A started program. `exited` becomes its exit status (negative: the signal that ended it)."""

    def __init__(self, popen: subprocess.Popen[bytes], *, guard: Guard) -> None:
        self._popen = popen
        self._guard = guard
        self._pidfd = os.pidfd_open(popen.pid)
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pidfd, self._on_exit)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def signal(self, number: signal.Signals) -> None:
        """Signal the whole group; nothing happens once the process has ended."""
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._popen.pid, number)

    async def stop(self, *, grace_s: float) -> int:
        """SIGTERM, then SIGKILL when the grace is over; returns the exit status."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                return await asyncio.shield(self.exited)
        self.signal(signal.SIGKILL)
        return await asyncio.shield(self.exited)

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        # Before the leader is reaped its id cannot be reused: now is the time for its group.
        with contextlib.suppress(OSError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        status = self._popen.wait()
        os.close(self._pidfd)
        self._guard.remove(self._popen.pid)
        if not self.exited.done():
            self.exited.set_result(status)


def start(program: Program, *, guard: Guard) -> Process:
    """Start it now. OSError or StateError if the log cannot be opened, OSError if no process can be made."""
    fd = owned.open_file(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        popen = subprocess.Popen(
            launch_argv(program.argv, death_signal=signal.SIGKILL, placement=program.placement),
            env=dict(program.env),
            cwd=program.cwd,
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            start_new_session=True,
        )
    finally:
        os.close(fd)
    guard.add(popen.pid)
    return Process(popen, guard=guard)


def raise_files_limit() -> None:
    """As many descriptors for this process as it may have: whoever connects shares them with the programs
    that it starts.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def launch_argv(
    argv: Sequence[str], *, death_signal: signal.Signals, placement: Placement = AS_WE_DO
) -> list[str]:
    """`argv` as started by `launch`, so that it gets `death_signal` when this process dies."""
    tie = [str(os.getpid()), str(int(death_signal)), "--files", str(_FILES)]
    return [sys.executable, "-I", "-S", LAUNCH, *tie, *placement.words, "--", *argv]
