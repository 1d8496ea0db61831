"""The last one standing: kills every process group of a mesh whose supervisor vanished.

Executed as a file by `python -I -S`. Reads lines from stdin: `+GROUP` and `-GROUP` list process groups,
`~FOLDER` (JSON) is a folder to remove after they are killed, `!ARGV` (JSON) is what to run then (`![]`:
nothing). The end of stdin means that the supervisor is gone, and what is still listed is done. A direct
child dies with its parent anyway (see `launch`); the groups cover what such a child started.
"""

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

POLITE = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class Left:
    """What is still listed when `lines` end. A folder is held open: one that takes its name later is
    another mesh's.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.groups: set[int] = set()
        self.folders: dict[str, int] = {}
        self.last: list[str] = []
        for line in lines:
            self._read(line[0], line[1:])

    def _read(self, sign: str, rest: str) -> None:
        if sign == "!":
            self.last = json.loads(rest)
        elif sign == "~":
            folder = json.loads(rest)
            with contextlib.suppress(OSError):
                self.folders[folder] = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        elif sign == "+":
            self.groups.add(int(rest))
        else:
            self.groups.discard(int(rest))


def remove(folder: str, *, held: int) -> None:
    """Remove the folder that is open as `held`, and no other."""
    with contextlib.suppress(OSError):
        # The mark, which begins with a dot, goes last: without it nobody would finish what is interrupted
        # here.
        for name in sorted(os.listdir(held), reverse=True):
            if stat.S_ISDIR(os.lstat(name, dir_fd=held).st_mode):
                shutil.rmtree(name, ignore_errors=True, dir_fd=held)
            elif name.startswith("."):
                os.unlink(name, dir_fd=held)
        place = Path(folder)
        if os.path.samestat(place.stat(), os.fstat(held)):
            place.rmdir()


def main() -> None:
    """Outlive every polite signal; end when stdin does."""
    for number in POLITE:
        signal.signal(number, signal.SIG_IGN)
    left = Left(sys.stdin)
    for group in left.groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    for folder, held in left.folders.items():
        remove(folder, held=held)
    if left.last:
        subprocess.run(left.last, check=False)


if __name__ == "__main__":
    main()
