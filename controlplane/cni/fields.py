"""Fields of objects that anybody may have written: what is of another type is as if it were not there."""

from __future__ import annotations

from typing import Any

from linkerd2_py.controlplane.kubernetes_api import Json


def field(found: Any, *path: str) -> Any:
    """Whatever is there; None where nothing is."""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def text(found: Any, *path: str) -> str:
    """A text; empty where there is none."""
    value = field(found, *path)
    return value if isinstance(value, str) else ""


def texts(found: Any, *path: str) -> dict[str, str]:
    """As labels and annotations are."""
    value = field(found, *path)
    entries = value.items() if isinstance(value, dict) else ()
    return {key: one for key, one in entries if isinstance(one, str)}


def objects(found: Any, *path: str) -> list[Json]:
    """Of a list."""
    value = field(found, *path)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
