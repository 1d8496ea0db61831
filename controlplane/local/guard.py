"""The last one standing: kills every process group of a mesh whose supervisor vanished.

Executed as a file by `python -I -S`. Reads lines from stdin: `+GROUP` and `-GROUP` list process groups, `!ARGV` (JSON) is what to
run after they are killed (`![]`: nothing). The end of stdin means that the supervisor is gone, and what is still listed is done. A
direct child dies with its parent anyway (see `launch`); the groups cover what such a child started.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable


def watch(lines: Iterable[str]) -> tuple[set[int], list[str]]:
    """The groups that are still listed when `lines` end, and what is to be run then."""
    groups: set[int] = set()
    last: list[str] = []
    for line in lines:
        if line.startswith("!"):
            last = json.loads(line[1:])
        elif line.startswith("+"):
            groups.add(int(line[1:]))
        else:
            groups.discard(int(line[1:]))
    return groups, last


def main() -> None:
    """Outlive every polite signal; end when stdin does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups, last = watch(sys.stdin)
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    if last:
        subprocess.run(last, check=False)


if __name__ == "__main__":
    main()
