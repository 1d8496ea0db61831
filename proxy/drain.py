"""The orderly end: listeners close, exchanges and TCP streams under way finish, what outlives the grace
period is reset.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from linkerd2_py.base.clock import Clock

logger = logging.getLogger(__name__)

_LOOK_S: Final = 0.02
"""How often the engine is asked what is still open: it counts, it does not notify."""


class Drainable(Protocol):
    """A server of the engine."""

    @property
    def open_connections(self) -> int: ...
    def drain(self) -> None: ...
    def abort_all(self) -> None: ...


async def drain(servers: Sequence[Drainable], *, grace_s: float, clock: Clock) -> bool:
    """Whether all connections ended by themselves within `grace_s`."""
    for server in servers:
        server.drain()
    end = clock.monotonic() + grace_s
    while left := sum(server.open_connections for server in servers):
        if clock.monotonic() >= end:
            logger.warning("%d connections outlived the grace period of %g s", left, grace_s)
            for server in servers:
                server.abort_all()
            return False
        await asyncio.sleep(_LOOK_S)
    return True
