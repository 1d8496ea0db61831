"""The guard as its supervisor sees it: told what must not outlive us, and replaced when it ends itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

from linkerd2_py.controlplane.local.programs.exits import describe_exit

logger = logging.getLogger(__name__)

_GUARD: Final = str(Path(__file__).with_name("guard.py"))
_GUARD_PAUSE_S: Final = 0.5


class Guard:
    """The process that kills what is left if this one is killed; see `guard`.

    One that ends is replaced once `stand_by` was called, and its successor told what it knew. `restarts`
    counts them.
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
