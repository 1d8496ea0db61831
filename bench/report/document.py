"""A run as one JSON document."""

import json
from pathlib import Path
from typing import Any

from bench.goals import judge
from bench.results import Outcome, Run, row_as_json


def as_json(run: Run) -> dict[str, Any]:
    """Machine, date, rows, verdicts, goals."""
    return {
        "machine": run.machine.as_json(),
        "date": run.date,
        "rows": [row_as_json(row) for outcome in run.outcomes for row in outcome.rows],
        "verdicts": [_verdict(outcome) for outcome in run.outcomes],
        "goals": [judgement.as_json() for judgement in judge(run)],
    }


def write(run: Run, path: Path) -> None:
    """To a file."""
    path.write_text(json.dumps(as_json(run), indent=1, ensure_ascii=False) + "\n")


def _verdict(outcome: Outcome) -> dict[str, Any]:
    verdict = outcome.verdict()
    return {
        "scenario": outcome.scenario,
        "given": verdict.given,
        "text": verdict.text,
        "calibration_ns": list(outcome.calibration),
        "absent": dict(outcome.absent),
        "failed": dict(outcome.failed),
    }
