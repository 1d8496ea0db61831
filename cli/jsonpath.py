"""The part of kubectl's JSONPath that names one thing: `{.source.ip}`, with or without braces and the first
dot, `[0]`, `[*]`, `['name']`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from linkerd2_py.cli.errors import bad_usage

_STEP: Final = re.compile(r"""\.?([\w-]+)|\.?\[(\d+|\*)\]|\.?\['([^'\]]+)'\]|\.(\*)""")

Step = str | int | None
"""A name, an index, or all there are."""


def parse_path(text: str) -> Sequence[Step]:
    """CliError for what is no such path."""
    inside = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    steps: list[Step] = []
    at = 1 if inside == "." else 0
    while at < len(inside):
        found = _STEP.match(inside, at)
        if found is None:
            raise bad_usage(
                f"-o jsonpath: {text!r} is not a path: write e.g. jsonpath={{.source.ip}}"
            )
        name, index, quoted, star = found.groups()
        steps.append(None if "*" in {index, star} else int(index) if index else name or quoted)
        at = found.end()
    if not steps and inside != ".":
        raise bad_usage("-o jsonpath=: a path is missing: write e.g. jsonpath={.source.ip}")
    return steps


def find(document: Any, steps: Sequence[Step]) -> Iterator[Any]:
    """All that is there at the path."""
    if not steps:
        yield document
        return
    step, *rest = steps
    for inside in _inside(document, step):
        yield from find(inside, rest)


def _inside(document: Any, step: Step) -> Iterator[Any]:
    if isinstance(document, dict):
        if step is None:
            yield from document.values()
        elif step in document:
            yield document[step]
    elif isinstance(document, list):
        if step is None:
            yield from document
        elif isinstance(step, int) and step < len(document):
            yield document[step]
