"""`top`: what is counted, and what a person sees and types (textual's pilot)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import pytest
from textual.widgets import DataTable, Static

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.top import plain
from linkerd2_py.cli.top.page import Help, Page
from linkerd2_py.cli.top.rows import COUNT, PATH, Rows, short
from linkerd2_py.cli.watching import Asked, Told
from tests.support.golden import assert_golden
from tests.support.tap_events import exchange
from tests.support.wait import eventually_async

STORY = [
    *exchange("1", path="/vote", method="POST", micros=700),
    *exchange("2", path="/vote", method="POST", micros=12_000, grpc=2),
    *exchange("3", path="/vote", method="POST", micros=3_000, grpc=5),
    *exchange("4", path="/list", micros=2_000_000, status=503),
    *exchange("5", path="/list", source="bot-0", reset=8),
    *exchange("6", path="/list", route="GET /list", source="bot-0"),
    *exchange("7", path="/never-ends")[:2],
    exchange("8")[2],
]


class Scripted:
    """Tells a story, then goes on or fails."""

    namespace = "emojivoto"

    def __init__(self, *events: Told, problem: str = "", ends: bool = False) -> None:
        self.more: asyncio.Queue[Told] = asyncio.Queue()
        self._events = events
        self._problem = problem
        self._ends = ends

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)

    async def told(self, asked: Asked) -> AsyncGenerator[Told, None]:
        yield {"notice": "watching", "pods": 2, "troubles": []}
        for event in self._events:
            yield event
        if self._problem:
            raise CliError(self._problem)
        while not self._ends:
            yield await self.more.get()

    def close(self) -> None:
        return None


def counted(**said: bool) -> list[str]:
    rows = Rows(**said)
    for event in STORY:
        rows.hear(event)
    found = rows.sorted(COUNT, descending=True)
    return [" ".join(one.text(row) for one in rows.columns) for row in found]


def test_requests_are_summed_up_by_what_they_have_in_common() -> None:
    assert counted() == [
        "web-0 voting-0 POST /vote 3 700µs 12ms 3ms 66.67%",
        "bot-0 voting-0 GET /list 2 1ms 1ms 1ms 50.00%",
        "web-0 voting-0 GET /list 1 2s 2s 2s 0.00%",
    ]
    assert counted(hide_sources=True) == [
        "voting-0 POST /vote 3 700µs 12ms 3ms 66.67%",
        "voting-0 GET /list 3 1ms 2s 1ms 33.33%",
    ]
    assert counted(routes=True) == [
        "web-0 voting-0 [DEFAULT] 4 700µs 2s 2s 50.00%",
        "bot-0 voting-0 [DEFAULT] 1 1ms 1ms 1ms 0.00%",
        "bot-0 voting-0 GET /list 1 1ms 1ms 1ms 100.00%",
    ]


def test_durations_are_short() -> None:
    given = (0.0, 0.0009996, 0.0123, 0.9996, 3.4, 65.2)
    assert [short(one) for one in given] == ["0µs", "1ms", "12ms", "1s", "3s", "1m5s"]


def test_what_nobody_ends_does_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkerd2_py.cli.top.rows.BEGUN_MAX", 5)
    monkeypatch.setattr("linkerd2_py.cli.top.rows.ROWS_MAX", 3)
    rows = Rows()
    for number in range(20):
        rows.hear(exchange(f"open-{number}")[0])
    assert len(rows._begun) == 5
    for number in range(20):
        for event in exchange(f"done-{number}", path=f"/{number}"):
            rows.hear(event)
    assert [row.path for row in rows.sorted(PATH, descending=False)] == ["/17", "/18", "/19"]


async def test_into_a_pipe_it_is_tables(capsys: pytest.CaptureFixture[str]) -> None:
    await plain.show(Scripted(*STORY, ends=True), {}, Rows())
    assert_golden("cli/tap/top.txt", capsys.readouterr().out)
    with pytest.raises(CliError, match="no more"):
        await plain.show(Scripted(problem="no more"), {}, Rows())
    with pytest.raises(CliError, match="cannot be read"):
        await plain.show(Scripted({"proxy": 1}), {}, Rows())


async def test_while_nothing_is_told_tables_are_written_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    showing = asyncio.create_task(plain.show(Scripted(*STORY), {}, Rows(), period_s=0.01))  # noqa: TID251
    seen = ""

    def written() -> bool:
        nonlocal seen
        seen += capsys.readouterr().out
        return seen.count("Source") >= 3

    await eventually_async(written)
    showing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await showing


def page(source: Scripted) -> Page:
    return Page(source, {}, Rows(), title="deploy/voting")


def cells(shown: Page) -> list[list[str]]:
    table: DataTable[Any] = shown.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(at)] for at in range(table.row_count)]


def heads(shown: Page) -> list[str]:
    table: DataTable[Any] = shown.query_one(DataTable)
    return [str(one.label) for one in table.ordered_columns]


def state(shown: Page) -> str:
    return str(shown.query_one("#state", Static).render())


async def test_a_person_sees_sorts_filters_and_pauses() -> None:
    source = Scripted(*STORY)
    shown = page(source)
    async with shown.run_test(size=(120, 20)) as pilot:
        await eventually_async(lambda: len(cells(shown)) == 3)
        assert heads(shown)[:5] == ["Source", "Destination", "Method", "Path", "Count▼"]
        assert cells(shown)[0][3:5] == ["/vote", "3"]
        assert state(shown) == "deploy/voting: 2 pods"
        await pilot.press("S")
        assert heads(shown)[3:5] == ["Path▲", "Count"]
        assert [row[3] for row in cells(shown)] == ["/list", "/list", "/vote"]
        await pilot.press("r")
        assert [row[3] for row in cells(shown)] == ["/vote", "/list", "/list"]
        await pilot.press("slash", *"bot", "enter")
        assert [row[0] for row in cells(shown)] == ["bot-0"]
        assert "/bot" in state(shown)
        await pilot.press("escape")
        assert len(cells(shown)) == 3
        await pilot.press("space")
        assert "PAUSED" in state(shown)
        for event in exchange("new", path="/new"):
            source.more.put_nowait(event)
        await eventually_async(lambda: len(shown._rows) == 4)
        assert len(cells(shown)) == 3
        await pilot.press("p")
        await eventually_async(lambda: len(cells(shown)) == 4)
        await pilot.press("c")
        assert cells(shown) == []
        await pilot.press("question_mark")
        assert isinstance(shown.screen, Help)
        await pilot.press("x")
        assert not isinstance(shown.screen, Help)
        await pilot.resize_terminal(60, 10)
        await pilot.press("q")
    assert shown.return_value is None


async def test_what_was_scrolled_to_stays() -> None:
    events = [one for number in range(100) for one in exchange(str(number), path=f"/{number:03}")]
    shown = page(Scripted(*events))
    async with shown.run_test(size=(80, 12)) as pilot:
        await eventually_async(lambda: len(cells(shown)) == 100)
        await pilot.press(*["down"] * 40)
        table: DataTable[Any] = shown.query_one(DataTable)
        assert table.cursor_row == 40
        before = table.scroll_y
        assert before > 0
        shown._tick()
        await pilot.pause()
        assert (table.cursor_row, table.scroll_y) == (40, before)


async def test_losses_troubles_and_the_end_are_told() -> None:
    source = Scripted()
    shown = page(source)
    async with shown.run_test(size=(100, 20)):
        trouble = {"namespace": "a", "pod": "b\x1b[2J", "reason": "[red]away[/red]"}
        source.more.put_nowait({"notice": "watching", "pods": 1, "troubles": [trouble]})
        source.more.put_nowait({"notice": "lost", "events": 3})
        await eventually_async(lambda: "3 events lost" in state(shown))
        assert "1 pod; a/b\\x1b[2J cannot be watched: [red]away[/red]" in state(shown)
        source.more.put_nowait({"notice": "ended", "reason": "enough"})
        await eventually_async(lambda: "the watch has ended: enough" in state(shown))


async def test_nothing_hostile_is_obeyed() -> None:
    evil = "\x1b[2J[bold red]\r\n\u202e"
    shown = page(Scripted(*exchange("1", path=f"/{evil}", source=evil, method=evil)))
    async with shown.run_test(size=(160, 20)):
        await eventually_async(lambda: len(cells(shown)) == 1)
        assert cells(shown)[0][3] == "/\\x1b[2J[bold red]\\r\\n\\u202e"
        assert all(cell.isprintable() for cell in cells(shown)[0])


async def test_a_watch_that_fails_ends_it_with_its_reason() -> None:
    for source, reason in (
        (Scripted(problem="the control plane is gone"), "the control plane is gone"),
        (Scripted({"exchange": "1", "requestInitEvent": {}}, *exchange("1")[1:]), "cannot be read"),
    ):
        shown = page(source)
        async with shown.run_test():
            await eventually_async(lambda: shown.return_value is not None)  # noqa: B023
        assert reason in str(shown.return_value)
