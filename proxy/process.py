"""What the process does to itself at start: no core dumps of traffic, no garbage collection on the path
of a request.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # <sys/prctl.h>
_COLLECT_EVERY_S: Final = 30.0


def forbid_dumps() -> bool:
    """Neither core dumps nor a debugger of the same user may read what we carry. Whether it worked."""
    status: int = ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return status == 0


def give_back_start_up_memory() -> None:
    """What the imports needed for a moment goes back to the system: half a MiB."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)


def tame_collector(loop: asyncio.AbstractEventLoop) -> None:
    """What was made at start stays for good; cycles made later are looked for now and then."""
    gc.freeze()
    gc.disable()
    loop.call_later(_COLLECT_EVERY_S, _collect, loop)


def _collect(loop: asyncio.AbstractEventLoop) -> None:
    gc.collect()
    loop.call_later(_COLLECT_EVERY_S, _collect, loop)
