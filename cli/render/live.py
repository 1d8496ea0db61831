"""What `local up` shows: the ticks of the start, where to look, and the table that refreshes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linkerd2_py.cli.render.check import MARKS
from linkerd2_py.cli.render.paint import Paint
from linkerd2_py.cli.render.table import clip

SAMPLE_PAGE: Final = "web-svc"
FAULT_HUNT: Final = (
    ("which workload fails?", "stat deploy"),
    ("which service, asked by whom?", "stat au --from deploy/web"),
    (
        "how? (2 is UNKNOWN)",
        "diagnostics proxy-metrics deploy/voting | grep 'grpc_status=\"2\"'",
    ),
    ("which method?", "routes deploy/voting"),
    ("or all of it at once", "hunt"),
)
STOP_HINT: Final = "Ctrl-C stops everything."


def tick(text: str, *, paint: Paint) -> str:
    """A step that is done."""
    return f"{paint.green(MARKS['success'])} {text}"


def cross(text: str, *, paint: Paint) -> str:
    """A step that failed."""
    return f"{paint.red(MARKS['error'])} {text}"


@dataclass(frozen=True, slots=True)
class Words:
    """How the hints are written: `program` is what a person types to call us."""

    paint: Paint
    program: str


def where_to_look(
    links: Mapping[str, str], *, dashboard: str, sample: bool, words: Words, namespace: str
) -> list[str]:
    """The dashboard, the page, the other doors, and for the sample the commands that find its fault."""
    lines = [f"Dashboard:      {words.paint.bold(dashboard)}"] if dashboard else []
    page = links.get(SAMPLE_PAGE) if sample else None
    if page is not None:
        lines += [f"Open the page:  {words.paint.bold(page)}", ""]
    elif links:
        lines += [f"Services of {namespace}, through the mesh:"]
        lines += [f"  {name:<24} {url}" for name, url in links.items()]
        lines += [""]
    if sample:
        lines += ["Something is wrong with the vote. Find it:"]
        for question, command in FAULT_HUNT:
            lines += [f"  # {question}", f"  {words.program} {command}"]
        lines += [""]
    return lines


@dataclass(frozen=True, slots=True)
class Size:
    """A terminal, in columns and lines."""

    columns: int
    lines: int


def frame(table: str, *, size: Size) -> list[str]:
    """The lines of one refresh, cut to the terminal: a line that wraps could not be redrawn."""
    rows = table.split("\n") if table else ["waiting for traffic…"]
    lines = [*rows, "", STOP_HINT][: max(size.lines - 1, 1)]
    return [clip(line, width=max(size.columns - 1, 20)) for line in lines]
