"""Conditions as Kubernetes writes them."""

from __future__ import annotations

from collections.abc import Iterable

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.status import Condition


def written(conditions: Iterable[Condition], *, before: object, now: str) -> list[Json]:
    """`before` is what is written already: what holds still, holds since then."""
    return [_written(one, since=_since(one, before) or now) for one in conditions]


def beside_others(found: Json, wanted: Iterable[Condition], *, now: str) -> list[Json] | None:
    """The conditions of the object `found` with `wanted` in the place of those of their types; None where
    they say that already.
    """
    conditions = tuple(wanted)
    types = {one.type for one in conditions}
    before = listed(found, "status", "conditions")
    others = [one for one in before if one.get("type") not in types]
    ours = [one for one in before if one.get("type") in types]
    new = written(conditions, before=ours, now=now)
    return None if same(ours, new) else others + new


def same(ours: object, theirs: object) -> bool:
    """Whether two lists of what is written say the same, whenever that began."""
    return _timeless(ours) == _timeless(theirs)


def listed(found: object, *path: str) -> list[Json]:
    """The objects in the list below `path`."""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _written(condition: Condition, *, since: str) -> Json:
    return {
        "type": condition.type,
        "status": "True" if condition.holds else "False",
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": since,
    }


def _since(condition: Condition, before: object) -> str:
    status = "True" if condition.holds else "False"
    for one in listed(before):
        if (one.get("type"), one.get("status")) == (condition.type, status):
            return str(one.get("lastTransitionTime") or "")
    return ""


def _timeless(found: object) -> object:
    if isinstance(found, list):
        return [_timeless(one) for one in found]
    if isinstance(found, dict):
        kept = {name: _timeless(value) for name, value in found.items() if value is not None}
        kept.pop("lastTransitionTime", None)
        return kept
    return found
