"""Live traffic summed up in a terminal: a table that is drawn anew twice a second."""

from __future__ import annotations

from contextlib import aclosing
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.notes import said
from linkerd2_py.cli.top.rows import COUNT, Column, Row, Rows
from linkerd2_py.cli.watching import Asked, Watching

REFRESH_S: Final = 0.5
_SHOWN_MAX: Final = 500
_GOOD: Final = 0.99
_FAIR: Final = 0.9
HELP: Final = """\
Requests as proxies see them, summed up. A row counts what has its first columns in common.

  arrows, page up, page down   move; left and right where the table is wider
  s, S                         sort by the next column, by the one before
  r                            the other way round
  /                            only rows with some text; escape ends it
  space, p                     pause: what happens meanwhile is counted and shown later
  c                            forget what was counted
  ?                            this help; any key closes it
  q, Ctrl-C                    quit
"""


class Help(ModalScreen[None]):
    """What keys do."""

    CSS: ClassVar[str] = """
    Help { align: center middle; }
    Help > VerticalScroll { width: 92; max-width: 95%; height: auto; max-height: 90%; padding: 1 2;
        background: $surface; border: round $primary; }
    """

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(Text(HELP))

    def on_key(self) -> None:
        """Any key."""
        self.dismiss()


class Page(App[str]):
    """Ends with what went wrong, or with nothing."""

    ENABLE_COMMAND_PALETTE = False
    CSS: ClassVar[str] = """
    #state { height: 1; padding: 0 1; }
    #filter { display: none; height: 3; }
    #filter.shown { display: block; }
    DataTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("escape", "unfilter", "No filter", show=False, priority=True),
        Binding("space,p", "pause", "Pause", key_display="space"),
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "sort(-1)", "Sort", show=False),
        Binding("r", "reverse", "Reverse"),
        Binding("c", "forget", "Clear"),
        Binding("question_mark", "help", "Help", key_display="?"),
    ]

    def __init__(self, source: Watching, asked: Asked, rows: Rows, *, title: str) -> None:
        super().__init__()
        self._source = source
        self._asked = asked
        self._rows = rows
        self._about = title
        self._by: Column = COUNT
        self._descending = True
        self._paused = False
        self._having = ""
        self._state = "connecting …"
        self._lost = 0

    def compose(self) -> ComposeResult:
        yield Static(id="state", markup=False)
        yield Input(placeholder="only rows with this text", id="filter")
        yield DataTable(id="rows", cursor_type="row", zebra_stripes=True)
        yield Footer()

    def on_mount(self) -> None:
        """Listen, and show twice a second."""
        self._head()
        self.query_one(DataTable).focus()
        self.run_worker(self._listen(), name="watch")
        self.set_interval(REFRESH_S, self._tick)
        self._tick()

    async def _listen(self) -> None:
        try:
            async with aclosing(self._source.told(self._asked)) as events:
                async for told in events:
                    if "notice" not in told:
                        self._rows.hear(told)
                    elif told["notice"] == "lost":
                        self._lost += int(told.get("events") or 0)
                    else:
                        self._state = self._said(told)
        except CliError as error:
            self.exit(str(error))
        except (KeyError, TypeError, AttributeError, ValueError):
            self.exit("an event of the traffic cannot be read")

    def _said(self, told: object) -> str:
        lines = said(told)  # type: ignore[arg-type]
        if isinstance(told, dict) and told.get("notice") == "watching":
            pods = int(told.get("pods") or 0)
            watched = f"{pods} pod{'' if pods == 1 else 's'}"
            return f"{watched}; {lines[0]}" if lines else watched
        return "; ".join(lines)

    def _tick(self) -> None:
        lost = f"; {self._lost} events lost" if self._lost else ""
        paused = "  PAUSED" if self._paused else ""
        having = f"  /{self._having}" if self._having else ""
        self.query_one("#state", Static).update(
            f"{self._about}: {self._state}{lost}{having}{paused}"
        )
        if not self._paused:
            self._show()

    def _head(self) -> None:
        shown: DataTable[Text] = self.query_one(DataTable)
        shown.clear(columns=True)
        for one in self._rows.columns:
            mark = ("▼" if self._descending else "▲") if one is self._by else ""
            shown.add_column(Text(f"{one.head}{mark}", justify="right" if one.right else "left"))

    def _show(self) -> None:
        """In place: what was scrolled to stays."""
        shown: DataTable[Text] = self.query_one(DataTable)
        row, x, y = shown.cursor_row, shown.scroll_x, shown.scroll_y
        found = self._rows.sorted(self._by, descending=self._descending, having=self._having)
        with self.batch_update():
            shown.clear()
            for one in found[:_SHOWN_MAX]:
                shown.add_row(*(_cell(column, one) for column in self._rows.columns))
            if shown.row_count:
                shown.move_cursor(row=min(row, shown.row_count - 1), scroll=False)
            shown.scroll_to(x, y, animate=False, force=True)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Each letter counts."""
        self._having = event.value
        self._tick()

    def on_input_submitted(self) -> None:
        """The filter holds; keys are commands again."""
        self.query_one("#filter").remove_class("shown")
        self.query_one(DataTable).focus()

    def action_filter(self) -> None:
        """Ask for a text."""
        field = self.query_one("#filter", Input)
        field.add_class("shown")
        field.focus()

    def action_unfilter(self) -> None:
        """All rows again."""
        if isinstance(self.screen, Help):
            self.screen.dismiss()
            return
        self.query_one("#filter", Input).value = ""
        self._having = ""
        self.on_input_submitted()
        self._tick()

    def action_pause(self) -> None:
        """Hold what is shown, or go on."""
        self._paused = not self._paused
        self._tick()

    def action_sort(self, step: int) -> None:
        """By another column."""
        shown = self._rows.columns
        at = shown.index(self._by) if self._by in shown else 0
        self._by = shown[(at + step) % len(shown)]
        # The most first, and names by the alphabet.
        self._descending = self._by.right
        self._again()

    def action_reverse(self) -> None:
        """The other way round."""
        self._descending = not self._descending
        self._again()

    def action_forget(self) -> None:
        """Count anew."""
        self._rows.forget()
        self._again()

    def action_help(self) -> None:
        """Say what keys do."""
        self.push_screen(Help())

    def _again(self) -> None:
        self._head()
        self._show()
        self._tick()


def _cell(column: Column, row: Row) -> Text:
    """Never markup: its words may be anybody's."""
    colour = ""
    if column.head == "Success Rate":
        rate = row.success_rate
        colour = "green" if rate >= _GOOD else "yellow" if rate >= _FAIR else "red"
    return Text(column.text(row), style=colour, justify="right" if column.right else "left")
