"""What a supervisor tells the command that started it: JSON lines over a pipe.

Kinds: `step` (something is done), `problem` (one line for a person), `ready` and `failed` (the
start has ended one way or the other). The reader may go away at any time; nobody waits for it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Literal

Kind = Literal["step", "problem", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class Report:
    """One line of news."""

    kind: Kind
    text: str = ""


class ReportPipe:
    """The supervisor's end; `fd` is None when nobody listens."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        if fd is not None:
            os.set_inheritable(fd, False)  # noqa: FBT003
            os.set_blocking(fd, False)

    def send(self, report: Report) -> None:
        """Tell, or drop the line if the reader is gone or asleep."""
        if self._fd is None:
            return
        line = json.dumps({"kind": report.kind, "text": report.text}) + "\n"
        with contextlib.suppress(BlockingIOError):
            try:
                os.write(self._fd, line.encode())
            except BrokenPipeError:
                self.close()

    def close(self) -> None:
        """May be repeated."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_reports(pipe: IO[str] | Iterable[str]) -> Iterator[Report]:
    """The command's end: reports until the supervisor closes its own."""
    for line in pipe:
        with contextlib.suppress(ValueError, KeyError):
            fields = json.loads(line)
            yield Report(kind=fields["kind"], text=fields["text"])
