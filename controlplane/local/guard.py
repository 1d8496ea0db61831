"""The last one standing: kills every process group of a mesh whose supervisor vanished.

Executed as a file by `python -I -S`. Reads `+GROUP` and `-GROUP` lines from stdin; the end of
stdin means that the supervisor is gone, and what is still listed is killed. A direct child dies
with its parent anyway (see `launch`); the groups cover what such a child started.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def watch(lines: Iterable[str]) -> set[int]:
    """The groups that are still listed when `lines` end."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def main() -> None:
    """Outlive every polite signal; end when stdin does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for group in watch(sys.stdin):
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
