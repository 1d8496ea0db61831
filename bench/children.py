"""Child processes: pinned to one processor, in a session of their own, with a log, and surely ended.

with Children(folder) as children:
    origin = children.start("origin", argv, core=0)
    print(origin.next_line())
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bench.errors import BenchError

DEADLINE_S = 15.0
_END_S = 3.0
_POLL_S = 0.005
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True, eq=False)
class Child:
    """One started program. Its stdout is read here, line by line; its stderr is in `log`.

    With `mixed` both outputs are in the log, and there are no lines to read.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    started_s: float
    """Just before it was made, on the monotonic clock."""
    _unread: bytes = b""

    @property
    def pid(self) -> int:
        """The process that leads the session."""
        return self.process.pid

    def next_line(self, *, deadline_s: float = DEADLINE_S) -> str:
        """Its next line of output; BenchError when it ends first, or takes too long."""
        end = time.monotonic() + deadline_s
        while b"\n" not in self._unread:
            piece = self._read(end - time.monotonic())
            if not piece:
                raise BenchError(self.complaint("ended without an answer"))
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def remaining_lines(self, *, deadline_s: float = DEADLINE_S) -> list[str]:
        """What it still writes until it ends by itself; BenchError when it fails or takes too long."""
        end = time.monotonic() + deadline_s
        while piece := self._read(end - time.monotonic()):
            self._unread += piece
        lines, self._unread = self._unread.decode().splitlines(), b""
        if self.process.wait() != 0:
            raise BenchError(self.complaint(f"ended with {self.status()}"))
        return lines

    def _read(self, timeout_s: float) -> bytes:
        if self.process.stdout is None:
            raise BenchError(f"{self.name}: its output is in its log")
        ready, _, _ = select.select([self.process.stdout], [], [], max(timeout_s, 0))
        if not ready:
            raise BenchError(self.complaint("did not answer in time"))
        return os.read(self.process.stdout.fileno(), 1 << 16)

    def wait_for_port(self, address: str, *, deadline_s: float = DEADLINE_S) -> None:
        """Until it accepts connections at `host:port`."""
        host, _, port = address.rpartition(":")

        def accepts() -> bool:
            with suppress(OSError), socket.create_connection((host, int(port)), timeout=0.5):
                return True
            return False

        self.wait_until(accepts, what=f"listen at {address}", deadline_s=deadline_s)

    def wait_until(
        self, condition: Callable[[], object], *, what: str, deadline_s: float = DEADLINE_S
    ) -> None:
        """Until `condition` holds; BenchError when the process ends first or it takes too long."""
        end = time.monotonic() + deadline_s
        while not condition():
            if self.process.poll() is not None:
                raise BenchError(self.complaint(f"did not {what}"))
            if time.monotonic() > end:
                raise BenchError(self.complaint(f"did not {what} within {deadline_s:g} s"))
            time.sleep(_POLL_S)

    def complaint(self, what: str) -> str:
        """One line: its name, what went wrong, and the last thing it said."""
        said = self.log.read_text(errors="replace").strip().splitlines()
        return f"{self.name} {what}" + (f": {said[-1].strip()}" if said else "")

    def status(self) -> str:
        """How it ended: `status 1` or `SIGPIPE`."""
        code = self.process.wait()
        return signal.Signals(-code).name if code < 0 else f"status {code}"

    def end(self) -> None:
        """Ask it to end, then make it. May be repeated."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_S)
        # Whatever is left of its session, which is ours and nobody else's.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass(slots=True)
class Children:
    """All children of one scenario; leaving the block ends them, last started first."""

    folder: Path
    _started: list[Child] = field(default_factory=list)

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        core: int,
        env: Mapping[str, str] | None = None,
        mixed: bool = False,
        yields: bool = False,
    ) -> Child:
        """Start `argv` on processor `core`; `env` is added to ours. One that `yields` gives way to all others
        there.
        """
        log = self.folder / f"{name}-{len(self._started)}.log"
        started_s = time.monotonic()
        with log.open("wb") as sink:
            process = _spawn(argv, core=core, env=env, sink=sink, mixed=mixed, yields=yields)
        child = Child(name, process, log, started_s)
        self._started.append(child)
        return child

    def end(self, child: Child) -> None:
        """End one before the others."""
        child.end()
        self._started.remove(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # All are asked at once, so that slow ones end side by side.
        for child in self._started:
            if child.process.poll() is None:
                child.process.terminate()
        while self._started:
            self._started.pop().end()


def _spawn(
    argv: Sequence[str | Path],
    *,
    core: int,
    env: Mapping[str, str] | None,
    sink: IO[bytes],
    mixed: bool,
    yields: bool,
) -> subprocess.Popen[bytes]:
    def settle() -> None:
        # Before exec, so that every thread the program makes inherits it. The third line: should this process
        # be killed and have no chance to end its children, the kernel does.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTIONS)
        os.sched_setaffinity(0, {core})
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if yields:
            _yield_to_all()

    # An exception that is raised in one of Python's hooks around fork is swallowed there: an interruption
    # waits for its end.
    signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTIONS)
    try:
        return subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=sink if mixed else subprocess.PIPE,
            stderr=sink,
            bufsize=0,
            env={**_environment(), **(env or {})},
            start_new_session=True,
            preexec_fn=settle,  # noqa: PLW1509  # there are no threads here
        )
    except OSError as error:
        raise BenchError(f"cannot start {argv[0]}: {error.strerror}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTIONS)


def _yield_to_all() -> None:
    os.nice(19)
    # Where sessions are scheduled as groups, niceness counts within the group only, and the group has its
    # own.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


def _environment() -> dict[str, str]:
    """Ours, but Python may keep its bytecode: an installed package has it, and does not compile itself at
    every start.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
