"""kubectl-style tables: upper-case heads, no borders, never folded, so that pipes can use them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from linkerd2_py.base.logs import printable

GAP: Final = "   "
_RESET: Final = "\x1b[0m"
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_PIECES: Final = re.compile(r"\x1b\[[0-9;]*m|.")

Colour = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and how to colour it once it has its width."""

    text: str
    colour: Colour | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A head and which way its cells lean."""

    head: str
    right: bool = True


def render_table(columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> str:
    """Lines without trailing blanks; a table without rows is its heads."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    heads = [Cell(column.head) for column in columns]
    widths = [
        max(width_of(row[index].text) for row in [heads, *cells]) for index in range(len(columns))
    ]
    lines = [
        GAP.join(
            _pad(cell, width=width, right=column.right)
            for cell, width, column in zip(row, widths, columns, strict=True)
        )
        for row in [heads, *cells]
    ]
    return "\n".join(line.rstrip() for line in lines)


def printable_row(row: Sequence[str | Cell]) -> list[str | Cell]:
    """A row that may have words of anybody's: what a terminal would obey is written out."""
    return [
        Cell(printable(cell.text), cell.colour) if isinstance(cell, Cell) else printable(cell)
        for cell in row
    ]


def width_of(text: str) -> int:
    """Columns a terminal gives to `text`: wide characters take two, combining ones none."""
    return sum(_char_width(char) for char in text)


def clip(line: str, *, width: int) -> str:
    """`line` cut to what `width` columns show; colour codes take none and are always closed."""
    if width_of(_COLOUR.sub("", line)) <= width:
        return line
    kept, used = [], 0
    for part in _PIECES.findall(line):
        columns = 0 if part.startswith("\x1b") else width_of(part)
        if used + columns > width:
            break
        kept.append(part)
        used += columns
    return "".join(kept) + (_RESET if "\x1b" in line else "")


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _pad(cell: Cell, *, width: int, right: bool) -> str:
    blanks = " " * (width - width_of(cell.text))
    text = cell.colour(cell.text) if cell.colour else cell.text
    return f"{blanks}{text}" if right else f"{text}{blanks}"
