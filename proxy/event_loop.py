"""uvloop where it is installed, else plain asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with contextlib.suppress(ImportError):
    from uvloop import new_event_loop as new_event_loop  # noqa: PLC0414  # the module's one export
