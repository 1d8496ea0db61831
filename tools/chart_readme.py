"""The README of a chart: what it is, how it is installed, and what its values mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.chart_values import Value, described


def readme(chart: Path, *, version: str) -> str:
    """From `README.head.md` and the comments of `values.yaml`."""
    head = (chart / "README.head.md").read_text().replace("VERSION", version)
    values = list(described((chart / "values.yaml").read_text()))
    return "\n".join([head.rstrip(), "", "## Values", "", *_table(values), ""])


def _table(values: list[Value]) -> Iterator[str]:
    yield "| value | default | what it says |"
    yield "|---|---|---|"
    for value in values:
        default = f"`{value.said_default}`" if value.said_default else _shown(value.default)
        words = value.words.replace("|", "\\|")
        yield f"| `{value.path}` | {default} | {words} |"


def _shown(default: Any) -> str:
    return f"`{json.dumps(default)}`".replace("|", "\\|")
