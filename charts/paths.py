"""What stands in values at a path, which has dots between its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def look_up(values: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """What stands there; `default` where nothing does."""
    found: Any = values
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return default
        found = found.get(name)
    return default if found is None else found


def put(values: dict[str, Any], path: str, value: Any) -> None:
    """Let `value` stand there, whatever stands above it."""
    *above, last = path.split(".")
    for name in above:
        below = values.get(name)
        if not isinstance(below, dict):
            below = values[name] = {}
        values = below
    values[last] = value
