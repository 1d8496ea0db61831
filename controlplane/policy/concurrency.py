"""The annotations of a Server by which it says how many requests may be in flight at once, as their texts
are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.policy import ConcurrencyLimit, ConcurrencyOverride

PREFIX: Final = "policy.linkerd2-py.io/"
TOTAL: Final = f"{PREFIX}concurrency"
IDENTITY: Final = f"{PREFIX}concurrency-per-identity"
OVERRIDES: Final = f"{PREFIX}concurrency-overrides"
MOST: Final = (1 << 31) - 1
_DIGITS: Final = re.compile(r"[0-9]{1,10}\Z")
_LABEL: Final = r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?"
_OVERRIDE: Final = re.compile(rf"({_LABEL})=([0-9]{{1,10}})\Z")


class AnnotationError(ValueError):
    """The text says which annotation cannot be read, and what may stand there."""


def concurrency_limit(annotations: Mapping[str, str], *, namespace: str) -> ConcurrencyLimit | None:
    """What a Server of a namespace says; None where it says nothing. AnnotationError for what cannot be."""
    if not any(name in annotations for name in (TOTAL, IDENTITY, OVERRIDES)):
        return None
    total = _number(annotations, TOTAL)
    identity = _number(annotations, IDENTITY)
    overrides = tuple(_overrides(annotations.get(OVERRIDES, ""), namespace=namespace))
    for name, most in ((IDENTITY, identity), (OVERRIDES, _highest(overrides))):
        if total is not None and most is not None and most > total:
            raise AnnotationError(f"{name}: must not be more than the total, {total}")
    return ConcurrencyLimit(total, identity, overrides)


def _number(annotations: Mapping[str, str], name: str) -> int | None:
    if name not in annotations:
        return None
    text = annotations[name].strip()
    if _DIGITS.match(text) and 0 < int(text) <= MOST:
        return int(text)
    raise AnnotationError(
        f"{name}: must be a number of requests from 1 to {MOST}, not {text[:40]!r}"
    )


def _overrides(text: str, *, namespace: str) -> Iterator[ConcurrencyOverride]:
    for part in filter(None, (one.strip() for one in text.split(","))):
        found = _OVERRIDE.match(part)
        if not found or not 0 < int(found[2]) <= MOST:
            raise AnnotationError(
                f"{OVERRIDES}: must be accounts with a number each, such as bot=50,tester.qa=20,"
                f" not {part[:40]!r}"
            )
        account, _, other = found[1].partition(".")
        yield ConcurrencyOverride(int(found[2]), (Key(other or namespace, account),))


def _highest(overrides: tuple[ConcurrencyOverride, ...]) -> int | None:
    return max((one.requests for one in overrides), default=None)
