"""Manifests written as Kubernetes' programs write them: keys in order, lists not indented."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from linkerd2_py.cli.manifests.scalars import is_plain, spelling_of

_PIECES: Final = re.compile(r"([0-9]+)|(.)", re.DOTALL)


def to_yaml(value: Any) -> str:
    """One document, with a newline at its end."""
    out = io.StringIO()
    yaml.emit(_events(value), out, Dumper=yaml.CSafeDumper, width=-1, allow_unicode=True)
    written = out.getvalue()
    # The mark of a document's end stands at the margin; a text that ends with three dots is indented.
    return written.removesuffix("...\n") if written.endswith("\n...\n") else written


def to_json(value: Any) -> str:
    """In one line."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def _events(value: Any) -> Iterator[Any]:
    yield yaml.StreamStartEvent()
    yield yaml.DocumentStartEvent(explicit=False)
    yield from _value_events(value)
    yield yaml.DocumentEndEvent(explicit=False)
    yield yaml.StreamEndEvent()


def _value_events(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield yaml.MappingStartEvent(None, None, implicit=True, flow_style=not value)
        for name in sorted(value, key=_order):
            yield _scalar_event(name)
            yield from _value_events(value[name])
        yield yaml.MappingEndEvent()
    elif isinstance(value, list):
        yield yaml.SequenceStartEvent(None, None, implicit=True, flow_style=not value)
        for one in value:
            yield from _value_events(one)
        yield yaml.SequenceEndEvent()
    else:
        yield _scalar_event(value)


def _scalar_event(value: Any) -> Any:
    style = None
    text = value if isinstance(value, str) else spelling_of(value)
    if isinstance(value, str):
        style = "|" if "\n" in value else None if is_plain(value) else '"'
    return yaml.ScalarEvent(None, None, (True, True), text, style=style)


def _order(name: str) -> tuple[tuple[bool, int, int, str], ...]:
    """Letters after everything else, digits by the number that they make."""
    return tuple(
        (piece.isalpha(), int(digits or 0), len(digits), piece)
        for digits, piece in _PIECES.findall(name[:256])
    )
