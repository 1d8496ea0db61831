"""Writing for people and pipes: colour only where a person sees it."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final, TextIO

from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.render.paint import Paint

_NEVER_FOLDED: Final = 2**31
"""Columns, where each value stays on its line: so do those that Kubernetes' programs write."""


def write(text: str) -> None:
    """To stdout, with a final newline."""
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")


def note(text: str) -> None:
    """To stderr: what a pipe must not see."""
    sys.stderr.write(f"{text}\n")


def write_json(document: Any) -> None:
    """Two-space indent, keys as given, never coloured."""
    write(json.dumps(document, indent=2, ensure_ascii=False))


def write_yaml(document: Any) -> None:
    """Keys in the order of their names, as Kubernetes' programs write it."""
    import yaml

    write(
        yaml.safe_dump(document, allow_unicode=True, default_flow_style=False, width=_NEVER_FOLDED)
    )


def paint_for(stream: TextIO) -> Paint:
    """Colours if `stream` is a terminal and NO_COLOR is not set (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Paint(enabled=stream.isatty() and not plain)


def one_of(chosen: str, *, allowed: tuple[str, ...]) -> str:
    """The value of -o. CliError naming what it may be."""
    if chosen not in allowed:
        raise bad_usage(f"-o: {chosen!r} is not an output format: use {', '.join(allowed)}")
    return chosen
