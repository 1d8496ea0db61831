"""Notices that a file was edited, by asking for its size and time every half second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

POLL_S: Final = 0.5

Stamp = tuple[int, int, int] | None


def stamp(path: Path) -> Stamp:
    """What changes with every edit; None while there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)


async def follow_file(path: Path, *, since: Stamp, on_edit: Callable[[], Awaitable[None]]) -> None:
    """Call `on_edit` after every edit made later than `since`; runs until cancelled. An edit that `on_edit`
    fails on is one that was not seen: whoever calls this again with the same `since` hears of it again.
    """
    seen = since
    while True:
        await asyncio.sleep(POLL_S)
        now = stamp(path)
        if now != seen:
            seen = now
            await on_edit()
