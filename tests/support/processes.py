"""Child processes with a log file, a deadline for every wait, and an end that is checked.

with Child.start([sys.executable, "-m", "x"], log=tmp_path / "x.log") as child:
    port = int(child.wait_for_line(r"listening on \\S+:(\\d+)").group(1))
"""

import array
import contextlib
import fcntl
import os
import re
import signal
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.support.ports import is_listening
from tests.support.wait import DEADLINE_S, eventually, patience

_LOG_TAIL = 2000


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; none of one that has ended meanwhile."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


@dataclass(slots=True)
class Child:
    """One started program, leader of its own session, and every process it starts in turn."""

    process: subprocess.Popen[bytes]
    log: Path
    argv: Sequence[str]

    @classmethod
    def start(
        cls,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        listens: bool = False,
    ) -> Self:
        """Start `argv`, both outputs into `log`; `env` is added to ours. `listens`: to what
        `say` tells it.
        """
        words = [str(word) for word in argv]
        with log.open("ab") as sink:
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        return cls(process, log, words)

    @property
    def pid(self) -> int:
        return self.process.pid

    def say(self, text: bytes) -> None:
        """On its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def has_heard(self) -> bool:
        """Whether it has read all that was said."""
        assert self.process.stdin is not None
        unread = array.array("i", [0])
        fcntl.ioctl(self.process.stdin, termios.FIONREAD, unread)
        return unread[0] == 0

    def output(self) -> str:
        """Everything it has written so far."""
        return self.log.read_text(errors="replace")

    def wait_for_line(self, pattern: str, *, deadline_s: float = DEADLINE_S) -> re.Match[str]:
        """First match of `pattern` in its output; fails early when the process ends without one."""
        expression = re.compile(pattern, re.MULTILINE)

        def look() -> re.Match[str] | None:
            ended = self.process.poll() is not None
            found = expression.search(self.output())
            if ended and not found:
                raise AssertionError(f"{self} ended before {pattern!r}")
            return found

        found = eventually(look, deadline_s=deadline_s, what=f"{pattern!r} in {self}")
        assert found is not None
        return found

    def wait_for_port(self, address: tuple[str, int], *, deadline_s: float = DEADLINE_S) -> None:
        """Until it accepts connections at `address`; fails early when the process ends."""

        def look() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"{self} ended before listening on {address}")
            return is_listening(address)

        eventually(look, deadline_s=deadline_s, what=f"{self} listening on {address}")

    def wait(self, *, deadline_s: float = DEADLINE_S) -> int:
        """Its exit status, once it has ended by itself."""
        try:
            return self.process.wait(deadline_s * patience())
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {deadline_s} s: {self}") from None

    def send(self, number: signal.Signals) -> None:
        """Signal the process itself, not its children."""
        self.process.send_signal(number)

    def terminate(self, *, deadline_s: float = DEADLINE_S) -> int:
        """SIGTERM, then its exit status; AssertionError if it does not end by itself in time."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait(deadline_s=deadline_s)

    def family(self) -> list[psutil.Process]:
        """The process and all its living descendants."""
        try:
            leader = psutil.Process(self.pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """SIGKILL for the whole family, for clean-up; never fails."""
        for member in self.family():
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait()
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(str(self))
        self.kill()

    def __str__(self) -> str:
        return (
            f"{' '.join(self.argv)} (pid {self.pid}), log {self.log}:\n{self.output()[-_LOG_TAIL:]}"
        )


def assert_gone(*pids: int, deadline_s: float = DEADLINE_S) -> None:
    """Every one of `pids` has ended (a zombie that nobody has waited for counts as ended)."""

    def alive() -> list[int]:
        return [pid for pid in pids if _runs(pid)]

    eventually(lambda: not alive(), deadline_s=deadline_s, what=f"end of processes {pids}")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
