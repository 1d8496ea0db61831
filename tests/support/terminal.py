"""A small model of a terminal: what a person would see of what a program wrote."""

import re

_PIECES = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|(.)", re.DOTALL)


class Terminal:
    """`rows` are all rows, those scrolled out included. One that `reflows` wraps lines anew when it is
    resized (as those of desktops do); another cuts them off (as xterm does).
    """

    def __init__(self, columns: int, height: int, *, reflows: bool) -> None:
        self.columns, self.height, self.reflows = columns, height, reflows
        self.rows = [""]
        self._wrapped: set[int] = set()
        self._top = self._row = self._column = 0

    @property
    def shown(self) -> list[str]:
        """The rows of the screen."""
        return self.rows[self._top :]

    def feed(self, text: str) -> None:
        """What a program writes: text, and the few sequences that move and erase."""
        for number, command, char in _PIECES.findall(text):
            if char:
                self._put(char)
            elif command == "F":
                self._go(max(self._top, self._row - int(number or 1)))
            elif command == "H":
                self._go(self._top)
            elif command == "J":
                self._erase_below()

    def resize(self, columns: int) -> None:
        """The cursor stays behind what was written last."""
        if self.reflows:
            lines = self._lines()
            self.rows, self._wrapped = [""], set()
            self._top = self._row = self._column = 0
            self.columns = columns
            self.feed("\n".join(lines))
        else:
            self.columns = columns
            self.rows = [row[:columns] for row in self.rows]
            self._wrapped = set()

    def _lines(self) -> list[str]:
        lines: list[str] = []
        for number, row in enumerate(self.rows):
            if number - 1 in self._wrapped and lines:
                lines[-1] += row
            else:
                lines.append(row)
        return lines

    def _put(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._go(self._row + 1)
        else:
            if self._column == self.columns:
                self._wrapped.add(self._row)
                self._go(self._row + 1)
            row = self.rows[self._row]
            self.rows[self._row] = row[: self._column] + char + row[self._column + 1 :]
            self._column += 1

    def _go(self, row: int) -> None:
        self._row, self._column = row, 0
        self._top = max(self._top, row - self.height + 1)
        while len(self.rows) <= row:
            self.rows.append("")

    def _erase_below(self) -> None:
        del self.rows[self._row :]
        self.rows.append("")
        self._wrapped = {row for row in self._wrapped if row < self._row}
