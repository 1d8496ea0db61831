"""Go's durations, as users of Linkerd write them: `30s`, `1m`, `1h30m`, `500ms`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from linkerd2_py.cli.errors import bad_usage

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


def parse_duration(text: str, *, flag: str) -> float:
    """Seconds. CliError naming `flag` for anything Go would not read, and for a negative one."""
    if text == "0":
        return 0.0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise bad_usage(f"{flag}: {text!r} is not a duration: write e.g. 30s, 1m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def short_age(seconds: float) -> str:
    """kubectl's age: the largest unit, with the next one while it says something."""
    whole = int(max(seconds, 0))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{hours}h" if hours < 48 else f"{days}d"
