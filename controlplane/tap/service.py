"""The tap of a control plane: who may watch, how many at once, and who asks the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.mesh.objects import Pod
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.tap.fan_in import FanIn
from linkerd2_py.controlplane.tap.proxies import Proxies
from linkerd2_py.controlplane.tap.refusals import NotReadyError, TooManyError
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.controlplane.tap.selection import refuse_nothing, select
from linkerd2_py.controlplane.tap.tap import User
from linkerd2_py.controlplane.tap.watcher import Watcher

WATCHES_MAX: Final = 500
QUESTIONS_MAX: Final = 80
"""Different ones: a proxy takes a hundred calls at once."""

Authorize = Callable[[TapRequest, User], Awaitable[None]]
"""Raises `NotAllowedError` where a user may not watch."""


async def anybody(_request: TapRequest, _user: User) -> None:
    """Where the door has seen to it."""


class TapService:
    """A `Tap`, from `start` to `stop`."""

    def __init__(
        self,
        store: MeshStore,
        *,
        proxies: Proxies,
        authorize: Authorize = anybody,
        metrics: CollectorRegistry,
        watches_max: int = WATCHES_MAX,
        questions_max: int = QUESTIONS_MAX,
    ) -> None:
        self._store = store
        self._proxies = proxies
        self._authorize = authorize
        self._watches_max = watches_max
        self._questions_max = questions_max
        self._asked: dict[TapRequest, FanIn] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._watches = 0
        self._ended = ""
        self._events = Counter("tap_events", "Events that proxies told of", registry=metrics)
        self._lost = Counter(
            "tap_watch_events_lost",
            "Events that somebody who watches did not get, for not keeping up",
            registry=metrics,
        )
        gauge = Gauge("tap_watches", "Open watches of live traffic", registry=metrics)
        gauge.set_function(lambda: self._watches)

    def start(self) -> None:
        """From now on somebody may watch."""
        self._proxies.start()

    async def stop(self) -> None:
        """End every watch. May be repeated."""
        self._ended = "the control plane is being stopped"
        for fan_in in tuple(self._asked.values()):
            await fan_in.close(self._ended)
        # Calls end before that by which they are made.
        await asyncio.gather(*self._ending)
        await self._proxies.stop()

    async def watch(self, request: TapRequest, *, user: User) -> Watcher:
        """See `Tap`."""
        await self._authorize(request, user)
        if self._ended:
            raise NotReadyError(self._ended)
        if not self._store.mesh.is_synced(Pod):
            raise NotReadyError("not known yet: which pods there are; try again in a moment")
        refuse_nothing(request, select(request, self._store.mesh), self._store.mesh)
        if self._watches >= self._watches_max:
            raise TooManyError(f"too many watches: {self._watches_max} are open, end one of them")
        return self._fan_in(request).join(on_close=self._left)

    def _fan_in(self, request: TapRequest) -> FanIn:
        found = self._asked.get(request)
        if found is None:
            if len(self._asked) >= self._questions_max:
                raise TooManyError(
                    f"too many different watches: {self._questions_max} are open, end one of them"
                )
            found = self._asked[request] = FanIn(
                request,
                store=self._store,
                proxies=self._proxies,
                on_empty=self._forget,
                on_lost=self._lost.inc,
                on_event=self._events.inc,
            )
        self._watches += 1
        return found

    def _forget(self, request: TapRequest) -> None:
        """Nobody asks it any more; its calls take a moment to end."""
        fan_in = self._asked.pop(request, None)
        if fan_in is not None:
            ending = spawn(fan_in.close(""), name="tap-end")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def _left(self) -> None:
        self._watches -= 1
