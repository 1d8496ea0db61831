"""Folders that are looked at again as soon as something in them changes."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

_CLOSE_WRITE, _MOVED, _CREATED, _DELETED, _ATTRIBUTES = 0x8, 0xC0, 0x100, 0x200, 0x4
_CHANGES: Final = _CLOSE_WRITE | _MOVED | _CREATED | _DELETED | _ATTRIBUTES
_LOOK_S: Final = 10.0
_LOOK_BLINDLY_S: Final = 1.0
"""Where the kernel tells nothing: nodes run out of inotify instances."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Folders:
    """Followed until closed; needs a running loop."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._changed = asyncio.Event()
        self._descriptor = _follow(folders)
        self._look_s = _LOOK_BLINDLY_S if self._descriptor < 0 else _LOOK_S
        if self._descriptor >= 0:
            asyncio.get_running_loop().add_reader(self._descriptor, self._on_change)

    async def changed(self) -> None:
        """Return when something has changed since the last call, and now and then in any case."""
        try:
            async with asyncio.timeout(self._look_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def close(self) -> None:
        """Follow no more."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _on_change(self) -> None:
        # What has changed is found out by looking.
        os.read(self._descriptor, 65536)
        self._changed.set()


def _follow(folders: Sequence[Path]) -> int:
    """A descriptor, -1 where there can be none."""
    descriptor = int(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    for folder in folders if descriptor >= 0 else ():
        if _LIBC.inotify_add_watch(descriptor, os.fsencode(folder), _CHANGES) < 0:
            logger.warning("%s: %s", folder, os.strerror(ctypes.get_errno()))
            os.close(descriptor)
            return -1
    if descriptor < 0:
        logger.warning("changes of files are not told: %s", os.strerror(ctypes.get_errno()))
    return descriptor
