"""What the process does to itself at start: no garbage is collected on the path of a request."""

from __future__ import annotations

import asyncio
import gc
from typing import Final

_COLLECT_EVERY_S: Final = 30.0


def tame_collector(loop: asyncio.AbstractEventLoop) -> None:
    """What was made at start stays for good; cycles made later are looked for now and then."""
    gc.freeze()
    gc.disable()
    loop.call_later(_COLLECT_EVERY_S, _collect, loop)


def _collect(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_later(_COLLECT_EVERY_S, _collect, loop)
    gc.collect()
