"""Handshakes that failed, told in the log: each reason of each peer once in a while, not once a
connection."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from linkerd2_py._ext.io.address import Address
from linkerd2_py.base.clock import Clock

_EVERY_S: Final = 30.0
_REMEMBERED: Final = 256


def handshake_log(
    logger: logging.Logger, *, clock: Clock
) -> Callable[[bool, Address | None, str], None]:
    """What the engine calls for each failure."""
    told: dict[tuple[bool, str, str], float] = {}

    def on_failure(inbound: bool, peer: Address | None, reason: str) -> None:  # noqa: FBT001
        # A client has another port each time; it is the same client.
        who = "" if peer is None else peer.host if inbound else str(peer)
        key, now = (inbound, who, reason), clock.monotonic()
        if now - told.get(key, -_EVERY_S) < _EVERY_S:
            return
        if len(told) >= _REMEMBERED:
            told.clear()
        told[key] = now
        direction = "from" if inbound else "to"
        logger.warning("TLS %s %s failed: %s", direction, who or "a client", reason)

    return on_failure
