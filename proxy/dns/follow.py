"""Follows one name for as long as its target is in use: asks again when the TTL ends.

The last good addresses stay while servers fail or deny the name; only a new answer replaces them. A name
that has never been found is reported absent, and asked for again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from linkerd2_py.base.backoff import Backoff
from linkerd2_py.proxy.dns.resolver import NameAbsentError, Resolution, ResolveError, Resolver

logger = logging.getLogger(__name__)

_SHORTEST_S: Final = 1.0
"""Floor of every TTL unless LINKERD2_PROXY_DNS_MIN_TTL says otherwise: an answer with TTL 0 must not
become a stream of queries."""


class TtlBounds(NamedTuple):
    """Seconds an answer lives at least and at most; None: our floor, no ceiling."""

    min_s: float | None
    max_s: float | None

    def clamp(self, ttl_s: float) -> float:
        low = _SHORTEST_S if self.min_s is None else self.min_s
        raised = max(low, ttl_s)
        return raised if self.max_s is None else min(self.max_s, raised)


class NameListener:
    """Who wants to know: `on_addresses` at each change, `on_absent` while there never was one. `told` is
    what it knows; it outlasts a watch that failed and was started again.
    """

    def __init__(
        self,
        *,
        on_addresses: Callable[[tuple[str, ...]], None],
        on_absent: Callable[[], None],
    ) -> None:
        self._on_addresses = on_addresses
        self._on_absent = on_absent
        self.told: frozenset[str] | None = None

    def tell(self, name: str, found: Resolution) -> None:
        """The name leads there now."""
        addresses = frozenset(found.addresses)
        if addresses != self.told:
            logger.debug("%s is %s for %g s", name, ", ".join(found.addresses), found.ttl_s)
            self._on_addresses(found.addresses)
            self.told = addresses

    def tell_absent(self) -> None:
        """There is no such name; whoever knows addresses keeps them."""
        if self.told is None:
            self._on_absent()


async def follow_name(
    name: str, *, resolver: Resolver, listener: NameListener, bounds: TtlBounds, backoff: Backoff
) -> None:
    """Report the addresses of `name` until cancelled."""
    while True:
        backoff.begin()
        try:
            found = await resolver.resolve(name, on_partial=partial(listener.tell, name))
        except ResolveError as error:
            consequence = "keeping the last answer" if listener.told else "trying again"
            logger.warning("%s; %s", error, consequence)
            await asyncio.sleep(backoff.next_delay_s())
            continue
        except NameAbsentError as absent:
            listener.tell_absent()
            await asyncio.sleep(bounds.clamp(absent.ttl_s))
            continue
        backoff.reset()
        listener.tell(name, found)
        await asyncio.sleep(bounds.clamp(found.ttl_s))
