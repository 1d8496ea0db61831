"""Go's durations, as users of Linkerd write them on a command line and in a query: `30s`, `1m`, `1.5m`,
`1h30m`, `500ms`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

SHORTEST_WINDOW_S: Final = 5.0
"""Of stats: two scrapes must fall into a window, or there is never an answer."""

_UNITS: Final[Mapping[str, float]] = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_LONGEST_S: Final = 2.0**63 / 1e9  # Go counts nanoseconds in 64 bits


def parse_duration(text: str) -> float:
    """Seconds. ValueError for anything that Go would not read, and for a negative one."""
    if text == "0":
        return 0.0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text[:40]!r} is not a duration: write e.g. 30s, 1m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds >= _LONGEST_S:
        raise ValueError(f"{text[:40]!r} is longer than 292 years")
    return seconds
