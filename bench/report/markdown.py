"""`python -m bench.report.markdown RUN.json`: a saved run as the tables of a Markdown page, one row a
scenario.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.report.columns import COLUMNS
from bench.scenarios import ALL

SUBJECTS = ("ours", "relay", "nginx", "haproxy", "nghttpx", "envoy", "traefik")
NOTHING = "–"


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Machine and date, the costs, the goals."""
    machine = document["machine"]
    yield (
        f"{document['date'][:10]}, {machine['cores']} processors ({machine['cpu']}), "
        f"Linux {machine['kernel']}, {_versions(document)}:"
    )
    yield ""
    yield f"| scenario | cost | {' | '.join(SUBJECTS)} |"
    yield "|---" * (len(SUBJECTS) + 2) + "|"
    for name, scenario in ALL.items():
        rows = {row["subject"]: row for row in document["rows"] if row["scenario"] == name}
        if len(set(SUBJECTS) & set(rows)) > 1:
            cells = (_cell(rows.get(subject), scenario.cost) for subject in SUBJECTS)
            yield f"| {name} | {COLUMNS[scenario.cost].heading} | {' | '.join(cells)} |"
    yield ""
    yield "| goal | | bound | measured | |"
    yield "|---|---|---|---|---|"
    for goal in document["goals"]:
        measured = NOTHING if goal["measured"] is None else f"{goal['measured']:.3g}"
        yield f"| {goal['goal']} | {goal['text']} | {goal['bound']} | {measured} | {goal['state']} |"


def _cell(row: Mapping[str, Any] | None, cost: str) -> str:
    """The median, as the terminal's tables show it."""
    value = row.get(cost) if row else None
    return NOTHING if value is None else COLUMNS[cost].show(value)


def _versions(document: Mapping[str, Any]) -> str:
    found = {
        row["subject"]: row["version"] for row in document["rows"] if row["subject"] in SUBJECTS[2:]
    }
    return ", ".join(f"{name} {version}" for name, version in found.items())


if __name__ == "__main__":
    print(*lines(json.loads(Path(sys.argv[1]).read_text())), sep="\n")
