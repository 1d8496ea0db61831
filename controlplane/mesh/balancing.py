"""What pods, external workloads and services say of how the load is spread over endpoints. Linkerd knows
neither of these annotations, and its proxies do nothing of it.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Final

from linkerd2_py.controlplane.mesh.objects import WHOLE, Key, Service

logger = logging.getLogger(__name__)

WEIGHT: Final = "balancer.linkerd.io/weight"
"""Of a pod or an external workload: its share of the load is in proportion to it."""
PREFER_ZONE: Final = "balancer.linkerd.io/prefer-zone"
"""Of a service: clients use its endpoints in their own zone as long as those can take it."""
WEIGHT_RULE: Final = "must be a number from 0.001 to 1000 with at most four digits behind the point"
_WEIGHT: Final = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,4}))?", re.ASCII)
_LEAST, _MOST = WHOLE // 1000, WHOLE * 1000
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_REMEMBERED: Final = 4096


def weight_of(written: str) -> int | None:
    """In ten thousandths; None for what is no weight."""
    found = _WEIGHT.fullmatch(written)
    if found is None:
        return None
    weight = int(found[1]) * WHOLE + int((found[2] or "").ljust(4, "0"))
    return weight if _LEAST <= weight <= _MOST else None


def weight_said(written: str | None, *, kind: str, key: Key) -> int:
    """What an object says; as all have where it says nothing, or nothing that could be done."""
    return WHOLE if written is None else _weight_said(written, kind, key)


# Objects are read again and again; what is wrong with one is told once.
@lru_cache(maxsize=_REMEMBERED)
def _weight_said(written: str, kind: str, key: Key) -> int:
    found = weight_of(written)
    if found is not None:
        return found
    text = "%s %s/%s: %s %s, not %r: its weight is 1"
    logger.warning(text, kind, *key, WEIGHT, WEIGHT_RULE, written[:40])
    return WHOLE


def prefers_zone(service: Service) -> bool:
    """Whether its clients are to use endpoints of their own zone first."""
    written = service.annotations.get(PREFER_ZONE)
    return False if written is None else _prefers_zone(written, service.key)


@lru_cache(maxsize=_REMEMBERED)
def _prefers_zone(written: str, key: Key) -> bool:
    if written not in _TRUE | _FALSE:
        text = "service %s/%s: %s must be true or false, not %r: no zone is preferred"
        logger.warning(text, *key, PREFER_ZONE, written[:40])
    return written in _TRUE
