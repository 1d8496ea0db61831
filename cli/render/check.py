"""Check results in Linkerd's layout: categories underlined, √ ‼ ×, a verdict at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from linkerd2_py.base.logs import printable
from linkerd2_py.cli.checks.run import Outcome, Result
from linkerd2_py.cli.render.paint import Paint

MARKS: Final[dict[Outcome, str]] = {"success": "√", "warning": "‼", "error": "×"}


class CheckLines:
    """Turns results into lines one by one, so that they can be shown as they come."""

    def __init__(self, *, paint: Paint, short: bool) -> None:
        self._paint = paint
        self._short = short
        self._category = ""

    def lines(self, result: Result) -> list[str]:
        """The lines of one result, with its category's head when that is new."""
        if self._short and result.outcome == "success":
            return []
        lines = []
        if result.category != self._category:
            gap = [""] if self._category else []
            name = printable(result.category)
            lines += [*gap, name, "-" * len(name)]
            self._category = result.category
        mark = paint_mark(result.outcome, paint=self._paint)
        lines.append(f"{mark} {printable(result.description)}")
        told = [*result.message.splitlines(), _hint(result)]
        return [*lines, *(f"    {printable(text)}" for text in told if text)]

    def verdict(self, results: Sequence[Result]) -> list[str]:
        """The last line, and the empty one before it."""
        gap = [""] if self._category else []
        passed: Outcome = "success" if succeeded(results) else "error"
        return [*gap, f"Status check results are {paint_mark(passed, paint=self._paint)}"]


def paint_mark(outcome: Outcome, *, paint: Paint) -> str:
    """√, ‼ or × in its colour."""
    colours = {"success": paint.green, "warning": paint.yellow, "error": paint.red}
    return colours[outcome](MARKS[outcome])


def succeeded(results: Iterable[Result]) -> bool:
    """Whether nothing failed; warnings are not failures."""
    return all(result.outcome != "error" for result in results)


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Linkerd's JSON: categories in order, each with its checks."""
    categories: dict[str, list[dict[str, str]]] = {}
    for result in results:
        entry = {"description": result.description, "result": result.outcome}
        if result.message:
            entry["error"] = result.message
        if result.hint and result.outcome != "success":
            entry["hint"] = result.hint
        categories.setdefault(result.category, []).append(entry)
    return {
        "success": succeeded(results),
        "categories": [
            {"categoryName": name, "checks": checks} for name, checks in categories.items()
        ],
    }


def _hint(result: Result) -> str:
    if not result.hint or result.outcome == "success":
        return ""
    is_page = result.hint.startswith("https://")
    return f"see {result.hint} for hints" if is_page else f"hint: {result.hint}"
