"""One child process on the event loop: its own group, its output in a file, tied to our life.

No thread waits for it: its pidfd becomes readable when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from linkerd2_py.controlplane.local import owned

LAUNCH: Final = str(Path(__file__).with_name("launch.py"))
_GUARD: Final = str(Path(__file__).with_name("guard.py"))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and as whom a program runs, if not as its parent does: in a named network namespace,
    with the files of the folder `etc` in place of those of /etc, as another user. That user has no capability; with
    `reach`, which is for programs of ours alone, it can read that folder, the interpreter and this package.
    """

    netns: str = ""
    etc: Path | None = None
    uid: int | None = None
    reach: Path | None = None

    @property
    def words(self) -> list[str]:
        """For `launch`."""
        return [
            *(("--netns", self.netns) if self.netns else ()),
            *(("--etc", str(self.etc)) if self.etc else ()),
            *(("--uid", str(self.uid)) if self.uid is not None else ()),
            *(("--reach", str(self.reach)) if self.reach else ()),
        ]


AS_WE_DO: Final = Placement()
"""As the supervisor runs."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, where, with which environment, and the file its output goes to."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    placement: Placement = AS_WE_DO


class Guard:
    """The process that kills what is left if this one is killed; see `guard`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _GUARD],
            stdin=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
        )

    def add(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def call_at_end(self, argv: Sequence[str]) -> None:
        """What to run after everything is killed, if this process dies; none withdraws it."""
        self._tell(f"!{json.dumps(list(argv))}\n")

    def remove_at_end(self, folder: Path) -> None:
        """A folder of folders, which must be there now and must not outlive us."""
        self._tell(f"~{json.dumps(str(folder))}\n")

    def close(self) -> None:
        """End the guard; groups still listed are killed, folders removed. May be repeated."""
        pipe = self._pipe()
        if not pipe.closed:
            with contextlib.suppress(OSError):
                pipe.close()
            self._process.wait()

    def _tell(self, line: str) -> None:
        # A dead guard leaves the parent-death signal as the only net; nothing else changes.
        with contextlib.suppress(OSError):
            os.write(self._pipe().fileno(), line.encode())

    def _pipe(self) -> IO[bytes]:
        pipe = self._process.stdin
        if pipe is None:
            raise RuntimeError("the guard was started without a pipe")
        return pipe


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
            return await asyncio.wait_for(asyncio.shield(self.exited), grace_s)
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


def launch_argv(
    argv: Sequence[str], *, death_signal: signal.Signals, placement: Placement = AS_WE_DO
) -> list[str]:
    """`argv` as started by `launch`, so that it gets `death_signal` when this process dies."""
    tie = [str(os.getpid()), str(int(death_signal))]
    return [sys.executable, "-I", "-S", LAUNCH, *tie, *placement.words, "--", *argv]
