"""One child process on the event loop: its own group, its output in a file, tied to our life.

No thread waits for it: its pidfd becomes readable when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from linkerd2_py.controlplane.local.state import owned

logger = logging.getLogger(__name__)

LAUNCH: Final = str(Path(__file__).with_name("launch.py"))
_FILES: Final = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
"""How many descriptors a program may have at first, as if nothing had been raised here."""
_GUARD: Final = str(Path(__file__).with_name("guard.py"))
_GUARD_PAUSE_S: Final = 0.5


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
    """The process that kills what is left if this one is killed; see `guard`.

    One that ends is replaced once `stand_by` was called, and its successor told what it knew. `restarts` counts them.
    """

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._folders: list[str] = []
        self._last = "[]"
        self._closed = False
        self._watched: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._process = _start_guard()
        self.restarts = 0
        self.last_exit = ""

    def stand_by(self) -> None:
        """Replace it whenever it ends, from now on and on the running loop."""
        loop, pidfd = asyncio.get_running_loop(), os.pidfd_open(self._process.pid)
        self._watched = loop, pidfd
        loop.add_reader(pidfd, self._on_end)

    def add(self, group: int) -> None:
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def call_at_end(self, argv: Sequence[str]) -> None:
        """What to run after everything is killed, if this process dies; none withdraws it."""
        self._last = json.dumps(list(argv))
        self._tell(f"!{self._last}\n")

    def remove_at_end(self, folder: Path) -> None:
        """A folder of folders, which must be there now and must not outlive us."""
        self._folders.append(json.dumps(str(folder)))
        self._tell(f"~{self._folders[-1]}\n")

    def close(self) -> None:
        """End the guard; groups still listed are killed, folders removed. May be repeated."""
        self._closed = True
        self._stop_watching()
        pipe = self._pipe()
        if not pipe.closed:
            with contextlib.suppress(OSError):
                pipe.close()
            self._process.wait()

    def _stop_watching(self) -> None:
        if self._watched is not None:
            loop, pidfd = self._watched
            loop.remove_reader(pidfd)
            os.close(pidfd)
            self._watched = None

    def _on_end(self) -> None:
        self._stop_watching()
        self._pipe().close()
        self.restarts += 1
        self.last_exit = describe_exit(self._process.wait())
        logger.warning("the guard %s; another one takes its place", self.last_exit)
        # Not at once: whatever ends it again and again must not keep us from everything else.
        asyncio.get_running_loop().call_later(_GUARD_PAUSE_S, self._replace)

    def _replace(self) -> None:
        if self._closed:
            return
        self._process = _start_guard()
        self._tell("".join(f"+{group}\n" for group in self._groups))
        self._tell("".join(f"~{folder}\n" for folder in self._folders))
        self._tell(f"!{self._last}\n")
        self.stand_by()

    def _tell(self, line: str) -> None:
        # Without a guard the parent-death signal is the only net until there is another one.
        with contextlib.suppress(OSError, ValueError):
            os.write(self._pipe().fileno(), line.encode())

    def _pipe(self) -> IO[bytes]:
        pipe = self._process.stdin
        if pipe is None:
            raise RuntimeError("the guard was started without a pipe")
        return pipe


def _start_guard() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", _GUARD],
        stdin=subprocess.PIPE,
        start_new_session=True,
        cwd="/",
    )


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


def raise_files_limit() -> None:
    """As many descriptors for this process as it may have: whoever connects shares them with the programs that it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def launch_argv(
    argv: Sequence[str], *, death_signal: signal.Signals, placement: Placement = AS_WE_DO
) -> list[str]:
    """`argv` as started by `launch`, so that it gets `death_signal` when this process dies."""
    tie = [str(os.getpid()), str(int(death_signal)), "--files", str(_FILES)]
    return [sys.executable, "-I", "-S", LAUNCH, *tie, *placement.words, "--", *argv]


def describe_exit(status: int, *, last_line: str = "") -> str:
    """`exited with status 3: <its last words>`, or the name of the signal, which leaves none."""
    if status < 0:
        return f"ended by {_signal_name(-status)}"
    return (
        f"exited with status {status}: {last_line}" if last_line else f"exited with status {status}"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
