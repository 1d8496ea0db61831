"""Live traffic summed up where no terminal is: a table every few seconds."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import Final

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.cli import output
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.notes import Notes
from linkerd2_py.cli.render import table
from linkerd2_py.cli.top.rows import COUNT, Rows
from linkerd2_py.cli.watching import Asked, Watching

PERIOD_S: Final = 5.0


async def show(source: Watching, asked: Asked, rows: Rows, *, period_s: float = PERIOD_S) -> None:
    """Until the watch ends. CliError where it breaks off."""
    listening = spawn(_listen(source, asked, rows), name="top")
    try:
        while not (await asyncio.wait({listening}, timeout=period_s))[0]:
            _write(rows)
        _write(rows)
        if (problem := listening.result()) is not None:
            raise problem
    finally:
        await cancel_all([listening])


async def _listen(source: Watching, asked: Asked, rows: Rows) -> CliError | None:
    """What went wrong, if anything did."""
    notes = Notes()
    try:
        async with aclosing(source.told(asked)) as events:
            async for told in events:
                if "notice" in told:
                    notes.hear(told)
                else:
                    rows.hear(told)
    except CliError as error:
        return error
    except (KeyError, TypeError, AttributeError, ValueError):
        return CliError("an event of the traffic cannot be read")
    return None


def _write(rows: Rows) -> None:
    heads = [table.Column(one.head, right=one.right) for one in rows.columns]
    found = rows.sorted(COUNT, descending=True)
    if found:
        cells = [[one.text(row) for one in rows.columns] for row in found]
        output.write(f"{table.render_table(heads, cells)}\n\n")
        sys.stdout.flush()
