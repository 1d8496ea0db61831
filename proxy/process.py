"""What the process does to itself at start: its spare memory goes back, and no garbage is collected on
the path of a request.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

from linkerd2_py._ext.core.process import trim_heap

_COLLECT_EVERY_S: Final = 30.0


def give_back_start_up_memory() -> None:
    """What the imports needed for a moment goes back to the system: half a MiB."""
    gc.collect()
    trim_heap()


def tame_collector(loop: asyncio.AbstractEventLoop) -> None:
    """What was made at start stays for good; cycles made later are looked for now and then."""
    gc.freeze()
    gc.disable()
    loop.call_later(_COLLECT_EVERY_S, _collect, loop)


def _collect(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_later(_COLLECT_EVERY_S, _collect, loop)
    gc.collect()
