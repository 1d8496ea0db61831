"""Events of injections, about the owners of pods. A hundred pods of one owner are one event that is
counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Final

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.events import LIMIT_S, event, events_path, time_stamp
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi

COMPONENT: Final = "linkerd-proxy-injector"
INJECTED: Final = "Injected"
SKIPPED: Final = "InjectionSkipped"
_MOST_WAITING: Final = 100
_MOST_KNOWN: Final = 1024
_COUNTED_S: Final = 600.0
"""For how long the same news is counted: kubectl shows events of the last hour."""

logger = logging.getLogger(__name__)


class _Told:
    """An event that there is."""

    def __init__(self, path: str, *, at: float) -> None:
        self.path = path
        self.at = at
        self.count = 1


class InjectionEvents:
    """Tells them one after the other, beside everything else; an API server that takes none slows nobody."""

    def __init__(self, api: KubernetesApi, *, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._known: OrderedDict[tuple[str, str, str], _Told] = OrderedDict()
        self._waiting: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    def tell(self, reason: str, news: str, *, about: Json) -> None:
        """Soon. With too many waiting it is left out."""
        if len(self._waiting) >= _MOST_WAITING:
            logger.debug("left out the event %s: too many are waiting", reason)
            return
        task = spawn(self._tell(reason, news, about), name="injection-event")
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def told(self) -> None:
        """Wait until everything has been told, or could not be."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=LIMIT_S)

    async def _tell(self, reason: str, news: str, about: Json) -> None:
        try:
            async with asyncio.timeout(LIMIT_S), self._one_at_a_time:
                await self._count_or_make(reason, news, about)
        except (ApiError, TimeoutError) as error:
            words = str(error) or "no answer in time"
            logger.warning("the event %s was not taken: %s", reason, words)

    async def _count_or_make(self, reason: str, news: str, about: Json) -> None:
        key, now = (str(about.get("uid")), reason, news), self._clock.wall()
        known = self._known.pop(key, None)
        if known and now - known.at < _COUNTED_S:
            known.count += 1
            await self._api.patch(
                known.path, {"count": known.count, "lastTimestamp": time_stamp(now)}
            )
            self._known[key] = known
            return
        path = events_path(about["namespace"])
        found = event(reason, news, about=about, component=COMPONENT, at=now)
        name = (await self._api.create(path, found))["metadata"]["name"]
        self._known[key] = _Told(f"{path}/{name}", at=now)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
