"""Dashboards, held against Grafana's own schema: the types of its SDK are made from the same description as its
server's.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from linkerd2_py.charts.observe.dashboards.boards import dashboards
from tests.support.cluster import programs

BOARDS = {board.name: board.written() for board in dashboards()}


def judged(folder: Path, board: dict[str, Any]) -> str:
    """What is wrong with it: nothing, or a line each."""
    if not programs.GRAFANA_SCHEMA.built():
        pytest.skip("Grafana's schema is not built: ./mesh cluster build")
    path = folder / "board.json"
    path.write_text(json.dumps(board))
    program = programs.GRAFANA_SCHEMA.folder() / "grafana-schema"
    done = subprocess.run([program, path], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", BOARDS)
def test_grafana_knows_every_field_and_misses_none(name: str, tmp_path: Path) -> None:
    assert judged(tmp_path, BOARDS[name]) == ""


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ({"panels": [{"type": "stat", "titel": "x"}]}, "unexpected field"),
        ({"templating": {"list": [{"name": "x"}]}}, "required field is missing"),
        ({"graphTooltip": "many"}, "cannot unmarshal"),
    ],
)
def test_what_grafana_would_not_know_is_refused(
    spoil: dict[str, Any], told: str, tmp_path: Path
) -> None:
    assert told in judged(tmp_path, {**BOARDS["top-line"], **spoil})
