"""Answers the engine's question about a target it does not know, and stops when nobody asks any more.

Nothing is remembered here but the targets in use and their watches: one that was evicted is decided anew.
"""

from __future__ import annotations

import logging
from functools import partial

from linkerd2_py._ext.route.target import Target
from linkerd2_py._ext.route.target_table import TargetTable
from linkerd2_py.proxy.discovery.decision import Decision, Rejected, decide
from linkerd2_py.proxy.discovery.lookups import Lookups
from linkerd2_py.proxy.discovery.refusal import TARGETS_MAX, TOO_MANY, drop_unused, refuse
from linkerd2_py.proxy.discovery.watch import Watch, start

logger = logging.getLogger(__name__)


class Discovery:
    """What the targets of one table are. `on_unknown_target` and `on_idle_target` are the engine's hooks."""

    def __init__(self, lookups: Lookups, *, targets_max: int = TARGETS_MAX) -> None:
        self._lookups = lookups
        self.targets_max = targets_max
        self._watches: dict[bytes, Watch | None] = {}
        self._lasting: set[bytes] = set()

    def on_unknown_target(self, target: Target, *, table: TargetTable) -> None:
        """Begin to find out what `target` is, or refuse it."""
        decision = decide(target.key, rules=self._lookups.rules)
        logger.debug("%s: %s", target.key.decode(errors="replace"), decision)
        if isinstance(decision, Rejected):
            refuse(target, status=decision.status, text=decision.text, table=table)
        elif self._is_full(table):
            logger.warning("too many targets at once: more than %d", self.targets_max)
            refuse(target, status=TOO_MANY[0], text=TOO_MANY[1], table=table)
        else:
            self._begin(target, decision=decision)

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
            self._begin(target, decision=decide(target.key, rules=self._lookups.rules))

    def close(self) -> None:
        """Stop all watches."""
        for key in list(self._watches):
            self._end(key)

    async def settled(self) -> None:
        """After `close` of every discovery: until no call of theirs is left in the engine."""
        await self._lookups.settled()

    def _is_full(self, table: TargetTable) -> bool:
        if len(self._watches) >= self.targets_max:
            drop = partial(self.on_idle_target, table=table)
            drop_unused(table, known=self._watches, drop=drop)
        return len(self._watches) >= self.targets_max

    def _begin(self, target: Target, *, decision: Decision) -> None:
        self._end(target.key)
        self._watches[target.key] = start(target, decision=decision, lookups=self._lookups)

    def _end(self, key: bytes) -> None:
        watch = self._watches.pop(key, None)
        if watch is not None:
            watch.close()
