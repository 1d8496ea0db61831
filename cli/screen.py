"""A table that is redrawn in place, below lines that stay."""

from __future__ import annotations

import shutil
import sys
from typing import Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.cli import output
from linkerd2_py.cli.render import live as render
from linkerd2_py.controlplane.local.supervise.reports import Report

WINDOW_S: Final = 10
_MOST_KEPT: Final = 200
"""Lines above the table that are shown again after a resize: more than any screen has."""


class Screen:
    """Redraws in place on a terminal; elsewhere prints the table once, when it has a whole window
    of traffic: before that a rare failure may not have happened yet.

    How many rows the last frame takes is known only while the terminal has the size it was drawn for:
    some wrap lines anew when they are resized, some cut them off. After a resize everything is written
    again, from the top, with the lines above the table.
    """

    def __init__(self, *, clock: Clock, above: str = "") -> None:
        self._clock = clock
        self._started = clock.monotonic()
        self._above = above.splitlines()
        self._drawn = 0
        self._size = _size()
        self._printed = False

    def show(self, table: str) -> None:
        """The newest table."""
        if not sys.stdout.isatty():
            self._print_once(table)
            return
        self._clear()
        lines = render.frame(table, size=self._size)
        output.write("\n".join(lines))
        sys.stdout.flush()
        self._drawn = len(lines)

    def say(self, report: Report) -> None:
        """A line above the table, which stays there."""
        line = render.cross if report.kind == "problem" else render.tick
        text = line(report.text, paint=output.paint_for(sys.stdout))
        self._clear()
        self._above = [*self._above, text][-_MOST_KEPT:]
        output.write(text)
        sys.stdout.flush()

    def _clear(self) -> None:
        """Leave the cursor where the next line goes."""
        now = _size()
        if self._drawn and now != self._size:
            sys.stdout.write("\x1b[H\x1b[J" + "".join(f"{line}\n" for line in self._above))
        elif self._drawn:
            sys.stdout.write(f"\x1b[{self._drawn}F\x1b[J")
        self._size, self._drawn = now, 0

    def _print_once(self, table: str) -> None:
        whole = self._clock.monotonic() - self._started >= WINDOW_S
        if whole and not self._printed and "rps" in table:
            self._printed = True
            output.write(f"{table}\n\n{render.STOP_HINT}")
            sys.stdout.flush()


def _size() -> render.Size:
    terminal = shutil.get_terminal_size()
    return render.Size(terminal.columns, terminal.lines)
