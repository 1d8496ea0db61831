"""Durations on the command line, and ages in tables."""

from __future__ import annotations

from linkerd2_py.base import durations
from linkerd2_py.cli.errors import bad_usage


def parse_duration(text: str, *, flag: str) -> float:
    """Seconds of one of Go's durations. CliError naming `flag` for what is none."""
    try:
        return durations.parse_duration(text)
    except ValueError as error:
        raise bad_usage(f"{flag}: {error}") from None


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
