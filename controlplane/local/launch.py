"""Runs between fork and exec: tie this process to its parent's life, then become the program.

Executed as a file by `python -I -S`, so it imports nothing of this package.
Arguments: the parent's process id, the signal to get when it dies, then the program's argv.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Exec, or 127 with one line on stderr."""
    parent, death_signal, argv = int(arguments[0]), int(arguments[1]), arguments[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    # The parent may have died before prctl: then no signal will ever come.
    if os.getppid() != parent:
        return 127
    try:
        os.execvp(argv[0], argv)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]!r}: {error.strerror}\n")
    return 127


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
