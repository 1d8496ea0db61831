"""What the balancers of this proxy believe of each endpoint, as JSON: for `diagnostics proxy-endpoints`.

It is made while it is read, some endpoints at a time, so that no set holds up traffic, however large it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable

_AT_ONCE: Final = 16


def endpoint_states(tables: Iterable[TargetTable]) -> Iterator[bytes]:
    """Of all targets of what the workload calls, of their routes, and of the control plane."""
    yield b'{"targets": ['
    comma = b""
    for table in tables:
        if table.direction == "inbound":
            continue
        for target, of in _targets(table):
            yield comma + _begin(target, of=of)
            yield from _endpoints(target)
            comma = b", "
    yield b"]}\n"


def _targets(table: TargetTable) -> Iterator[tuple[Target, str]]:
    """With whose they are; the table may change meanwhile."""
    own = "workload" if table.addr is None else "proxy"
    yield from ((target, own) for target in table.targets())
    yield from ((target, "routes") for target in list(table.siblings))


def _begin(target: Target, *, of: str) -> bytes:
    said = {
        "target": target.key.decode(errors="replace"),
        "logical": target.logical.decode(errors="replace"),
        "of": of,
        "waiting": target.waiting,
    }
    return json.dumps(said)[:-1].encode() + b', "endpoints": ['


def _endpoints(target: Target) -> Iterator[bytes]:
    addresses = target.addresses()
    comma = b""
    for first in range(0, len(addresses), _AT_ONCE):
        found = (target.endpoint_state(one) for one in addresses[first : first + _AT_ONCE])
        said = ", ".join(json.dumps(_shown(one)) for one in found if one is not None)
        if said:
            yield comma + said.encode()
            comma = b", "
    yield b"]}"


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    """`load_ms` is what choices compare: the round trip, once for each exchange and one more."""
    labels, breaker = one["labels"], one["breaker"]
    state = "ready" if one["ready"] else "pending"
    rtt_ms = round(one["rtt_ms"], 3)
    return {
        "address": one["address"],
        "pod": labels.get("pod", ""),
        "zone": labels.get("zone", ""),
        "preferred": one["near"],
        "weight": one["weight"],
        "state": state if breaker in {None, "closed"} else breaker,
        "open_s": one["open_s"],
        "rtt_ms": rtt_ms,
        "in_flight": one["pending"],
        "load_ms": round(rtt_ms * (one["pending"] + 1), 3),
        "failing": one["failing"],
    }
