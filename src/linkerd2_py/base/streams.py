"""Standard streams of a program that people run: kept in their places, and one way to end when nobody takes
the output.

As other tools do: a reader that went away (`| head`) ends the program without a word, and output that cannot
be written (a full disk, a closed descriptor) with one line and a status of failure. Messages for a stderr
that takes none are dropped.
"""

from __future__ import annotations

import errno
import io
import os
import sys

# As type checkers know it: whoever waits for a quick answer waits for these imports, too.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from _typeshed import ReadableBuffer

READER_GONE: Final = 141
"""What a shell says of a program that SIGPIPE ended: 128 and its number."""
INTERRUPTED: Final = 130
"""And of one that SIGINT ended."""
_FAILED: Final = 1


class OutputError(Exception):
    """Standard output takes no more. Not an OSError: no other failure is to be taken for it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"cannot write to standard output: {os.strerror(number)}")
        self.number = number


def run_program(name: str, main: Callable[[], int]) -> int:
    """The program's exit status, with its streams settled."""
    settle()
    return finish(name, main)


def settle() -> None:
    """What is closed of 0, 1 and 2 is opened so that its use fails, and so that no other file gets the
    number.
    """
    for fd, useless in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest number that is free, and so this one; programs that are started get it, too.
            os.set_inheritable(os.open(os.devnull, useless), True)  # noqa: FBT003
    sys.stdout = _text(_Output(1, "w", closefd=False))
    sys.stderr = _text(_Messages(2, "w", closefd=False), errors="backslashreplace")


def finish(name: str, main: Callable[[], int]) -> int:
    """The status of `main` once all that it wrote has been taken, or that of a program whose output was
    refused.
    """
    try:
        status = _status(main)
        sys.stdout.flush()
    except OutputError as error:
        # What is left would fail again at the very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.number == errno.EPIPE:
            return READER_GONE
        sys.stderr.write(f"{name}: {error}\n")
        return _FAILED
    return status


def _status(main: Callable[[], int]) -> int:
    """argparse exits when it has printed its help; a person may press Ctrl-C while modules are still
    imported.
    """
    try:
        return main()
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0


class _Output(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            while (written := super().write(data)) is None:
                _wait_for_room(self.fileno())
        except OSError as error:
            raise OutputError(error.errno or errno.EIO) from error
        return written


class _Messages(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            while (written := super().write(data)) is None:
                _wait_for_room(self.fileno())
        except OSError:
            return memoryview(data).nbytes
        return written


def _wait_for_room(fd: int) -> None:
    """A terminal or a pipe may be shared with a program that made it not wait; ours does, as if it were
    alone.
    """
    import select  # noqa: PLC0415  # for the few who need it: quick commands import nothing

    select.select((), (fd,), ())


def _text(raw: io.FileIO, *, errors: str = "replace") -> io.TextIOWrapper:
    """Marks and emoji must not crash under LANG=C."""
    lines = raw.isatty() or isinstance(raw, _Messages)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors=errors, line_buffering=lines
    )
