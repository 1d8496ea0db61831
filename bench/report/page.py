"""A run as one HTML file: no script, nothing from elsewhere, light or dark as the reader's system is."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from bench.goals import Judgement, judge
from bench.report import chart, table
from bench.report.columns import column, significant
from bench.results import Outcome, Run

_STYLE = (Path(__file__).parent / "page.css").read_text()


def page(run: Run) -> str:
    """The whole document."""
    body = "\n".join([*_head(run), *_goals(judge(run)), *_scenarios(run)])
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>linkerd2-py beside its peers</title>
<style>
{_STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def write(run: Run, path: Path) -> None:
    """To a file."""
    path.write_text(page(run))


def _head(run: Run) -> Iterator[str]:
    machine = run.machine
    yield "<h1>linkerd2-py beside its peers</h1>"
    yield (
        f"<p>{escape(run.date)}, linkerd2-py {escape(machine.linkerd2_py)}. Figures are medians over passes, "
        "and comparable within this run only. CPU is the processor time of the subject, "
        "from the kernel's scheduler.</p>"
    )
    facts = {
        "Processor": f"{machine.cpu}, {machine.cores} cores",
        "Kernel": f"{machine.kernel}, {machine.congestion_control}, {machine.clocksource}",
        "Mitigations": machine.mitigations,
        "Python": machine.python,
        "Load average at the start": " ".join(f"{value:.2f}" for value in machine.load_average),
        "Subjects": ", ".join(_versions(run)),
    }
    yield "<dl>"
    for name, text in facts.items():
        yield f"<dt>{name}</dt><dd>{escape(text)}</dd>"
    yield "</dl>"


def _versions(run: Run) -> list[str]:
    found = {
        row.family: f"{row.family} {row.version}"
        for outcome in run.outcomes
        for row in outcome.rows
        if row.family not in {"ours", "limit", "direct"}
    }
    return list(found.values()) or ["none but ours"]


def _goals(judgements: tuple[Judgement, ...]) -> Iterator[str]:
    yield '<h2 id="goals">Goals</h2>'
    yield '<div class="wide"><table><thead><tr><th scope="col">Goal</th><th scope="col">What</th>'
    yield '<th scope="col">At most</th><th scope="col">Measured</th><th scope="col">Verdict</th>'
    yield "</tr></thead><tbody>"
    for judgement in judgements:
        goal = judgement.goal
        measured = "–" if judgement.measured is None else significant(judgement.measured)
        state = judgement.state + (f": {judgement.why}" if judgement.why else "")
        yield (
            f'<tr><th scope="row">{goal.name}</th><td class="words">{escape(goal.text)}</td>'
            f"<td>{significant(goal.bound)}</td><td>{measured}</td>"
            f'<td class="words state {judgement.state.replace(" ", "-")}">{escape(state)}</td></tr>'
        )
    yield "</tbody></table></div>"


def _scenarios(run: Run) -> Iterator[str]:
    yield "<nav><h2>Scenarios</h2><ul>"
    for outcome in run.outcomes:
        yield f'<li><a href="#{outcome.scenario}">{escape(outcome.scenario)}</a></li>'
    yield "</ul></nav>"
    for outcome in run.outcomes:
        yield from _scenario(outcome)


def _scenario(outcome: Outcome) -> Iterator[str]:
    yield f'<section id="{outcome.scenario}"><h2>{escape(outcome.scenario)}</h2>'
    yield f"<p>{escape(outcome.description)}.</p>"
    verdict = outcome.verdict()
    yield f'<p class="verdict{"" if verdict.given else " none"}">{escape(verdict.text)}</p>'
    if outcome.rows:
        yield from _table(outcome)
        heading = column(outcome.cost).heading
        yield from _figure(
            chart.bars(outcome), f"{heading}; the thin line: from the least to the greatest pass"
        )
        yield from _figure(
            chart.percentiles(outcome), "Latency: p50 (largest dot), p90, p99, p99.9"
        )
    for notes, words in ((outcome.absent, "Without"), (outcome.failed, "Failed:")):
        for subject, why in notes.items():
            yield f"<p>{words} {escape(subject)}: {escape(why)}.</p>"
    yield "</section>"


def _figure(picture: str, caption: str) -> Iterator[str]:
    if picture:
        yield f"<figure><figcaption>{escape(caption)}</figcaption>{picture}</figure>"


def _table(outcome: Outcome) -> Iterator[str]:
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in table.headings(outcome))
    yield f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>'
    for row in outcome.rows:
        first, *others = table.cells(outcome, row)
        values = "".join(f"<td>{escape(text)}</td>" for text in others)
        mark = ' class="ours"' if row.family == "ours" else ""
        yield f'<tr{mark}><th scope="row">{escape(first)}</th>{values}</tr>'
    yield "</tbody></table></div>"
