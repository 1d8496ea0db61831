"""One scenario as a table of text."""

from collections.abc import Iterator, Sequence

from bench.goals import Judgement
from bench.report.columns import column, significant
from bench.results import Outcome, Row, ratio


def headings(outcome: Outcome) -> list[str]:
    """Of the columns, from the left."""
    titles = [column(key).heading for key in outcome.columns]
    cost = column(outcome.cost).heading
    return ["", *titles, f"{cost}: min…max", "errors", "ours/this", "this/relay"]


def cells(outcome: Outcome, row: Row) -> list[str]:
    """Of one row; what was not measured is a dash."""
    figures = [_shown(key, row.figure(key)) for key in outcome.columns]
    spread = row.spread(outcome.cost)
    extremes = (
        "–" if spread is None else "…".join(column(outcome.cost).show(value) for value in spread)
    )
    return [
        row.subject,
        *figures,
        extremes,
        str(row.errors),
        _ratio(outcome.row(outcome.ours), row, key=outcome.cost),
        _ratio(row, outcome.limit(), key=outcome.cost),
    ]


def lines(outcome: Outcome, *, judged: bool) -> Iterator[str]:
    """Name and description, the table, who is absent, and the verdict if one is wanted."""
    yield f"{outcome.scenario} — {outcome.description}"
    if outcome.rows:
        yield from aligned([headings(outcome), *(cells(outcome, row) for row in outcome.rows)])
    for subject, why in outcome.absent.items():
        yield f"  without {subject}: {why}"
    for subject, why in outcome.failed.items():
        yield f"  {subject} FAILED: {why}"
    if judged:
        yield f"  {outcome.verdict().text}"
    elif outcome.failure:
        yield f"  {outcome.failure}"


def goal_lines(judgements: Sequence[Judgement]) -> Iterator[str]:
    """A line for each goal that something was measured for."""
    rows = [
        [
            judgement.goal.name,
            judgement.goal.text,
            "–" if judgement.measured is None else significant(judgement.measured),
            judgement.state,
            judgement.why,
        ]
        for judgement in judgements
        if judgement.state != "not measured"
    ]
    if rows:
        widths = [max(len(row[at]) for row in rows) for at in range(4)]
        yield "Goals"
        for row in rows:
            padded = (text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True))
            yield "  " + "  ".join(padded).rstrip()


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        first, *others = (
            text.ljust(width) if at == 0 else text.rjust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  " + "  ".join([first, *others]).rstrip()


def _shown(key: str, value: float | None) -> str:
    return "–" if value is None else column(key).show(value)


def _ratio(row: Row | None, other: Row | None, *, key: str) -> str:
    found = ratio(row, other, key) if row and other else None
    return "–" if found is None else f"{found.median:.2f}"
