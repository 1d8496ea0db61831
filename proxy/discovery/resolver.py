"""Answers the engine's question about a target it does not know, and stops when nobody asks any more.

Nothing is remembered here but running watches: a target that was evicted is decided anew.
"""

from __future__ import annotations

import logging
from typing import Final

from linkerd2_py._ext.route.target import Target, TargetTable
from linkerd2_py.proxy.discovery.names import Decision, decide
from linkerd2_py.proxy.discovery.sources import Sources
from linkerd2_py.proxy.discovery.watch import Watch, start

logger = logging.getLogger(__name__)

_WATCHES_MAX: Final = 5_000
"""A workload that invents names costs a few streams each until they are idle: some 50 MiB at the most."""


class Resolver:
    """The outbound side's discovery. `on_unknown_target` and `on_idle_target` are the engine's hooks."""

    def __init__(self, sources: Sources, *, watches_max: int = _WATCHES_MAX) -> None:
        self._sources = sources
        self.watches_max = watches_max
        self._watches: dict[bytes, Watch] = {}
        self._lasting: set[bytes] = set()

    @property
    def asks_control_plane(self) -> bool:
        """Whether names of the mesh are known to it."""
        return self._sources.client is not None

    def on_unknown_target(self, target: Target) -> None:
        """Begin to find out what `target` is."""
        self._begin(target, decision=decide(target.key, rules=self._sources.rules))

    def on_idle_target(self, target: Target, *, table: TargetTable) -> None:
        """Nobody used it for a while: forget it, unless it belongs to a static port."""
        if target.key in self._lasting:
            return
        logger.debug("%s is idle", target.key.decode(errors="replace"))
        self._end(target.key)
        table.remove(target)

    def adopt(self, target: Target) -> None:
        """Follow the target of a static port for as long as the process lives."""
        if target.key not in self._lasting:
            self._lasting.add(target.key)
            self.on_unknown_target(target)

    def close(self) -> None:
        """Stop all watches."""
        for key in list(self._watches):
            self._end(key)

    async def settled(self) -> None:
        """After `close` of every resolver: until no call of theirs is left in the engine."""
        await self._sources.settled()

    def _begin(self, target: Target, *, decision: Decision) -> None:
        logger.debug("%s: %s", target.key.decode(errors="replace"), decision)
        self._end(target.key)
        if len(self._watches) >= self.watches_max:
            logger.warning("too many targets at once: more than %d", self.watches_max)
            target.reject(503, "too many targets at once")
            return
        watch = start(target, decision=decision, sources=self._sources)
        if watch is not None:
            self._watches[target.key] = watch

    def _end(self, key: bytes) -> None:
        watch = self._watches.pop(key, None)
        if watch is not None:
            watch.close()
