"""One question, asked of the proxies of all pods that are meant, as these come and go; and all who watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, cast

from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import Key, Pod
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.tap.events import Told, Trouble, Watching
from linkerd2_py.controlplane.tap.labels import enrich
from linkerd2_py.controlplane.tap.lines import Shared
from linkerd2_py.controlplane.tap.observation import Observation
from linkerd2_py.controlplane.tap.proxies import Proxies
from linkerd2_py.controlplane.tap.question import Share, share_of
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.controlplane.tap.selection import select
from linkerd2_py.controlplane.tap.translate import event_of
from linkerd2_py.controlplane.tap.watcher import Watcher
from linkerd2_py.proto.gen.tap_pb2 import TapEvent as TapEventMessage

SETTLE_S: Final = 0.1
"""Changes of the mesh that come together are looked at together."""
TROUBLES_MAX: Final = 20


class FanIn:
    """Until the last watcher has gone; then `on_empty` is called. Refuses nothing: that is done before."""

    def __init__(
        self,
        request: TapRequest,
        *,
        store: MeshStore,
        proxies: Proxies,
        on_empty: Callable[[TapRequest], None],
        on_lost: Callable[[int], None],
        on_event: Callable[[], None],
    ) -> None:
        self._request = request
        self._store = store
        self._proxies = proxies
        self._on_empty = on_empty
        self._on_lost = on_lost
        self._on_event = on_event
        self._watchers: dict[Watcher, None] = {}
        self._observations: dict[Key, Observation] = {}
        self._troubles: dict[Key, str] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._due: asyncio.TimerHandle | None = None
        self._closed = False
        self._subscription = store.subscribe(self._on_changes)
        self._look()

    def join(self, *, on_close: Callable[[], None]) -> Watcher:
        """One more who watches; `on_close` is called when that is over."""

        def leave(watcher: Watcher) -> None:
            self._leave(watcher)
            on_close()

        watcher = Watcher(on_close=leave, on_lost=self._on_lost)
        self._watchers[watcher] = None
        watcher.show(self._watching())
        return watcher

    async def close(self, reason: str) -> None:
        """Nobody is observed any more; whoever watches is told why."""
        for watcher in tuple(self._watchers):
            watcher.end(reason)
        self._stop()
        await asyncio.gather(*self._stopping, return_exceptions=True)

    # What observations tell.

    def event(self, pod: Pod, told: TapEventMessage, *, call: str) -> None:
        """See `Hears`."""
        event = event_of(told, proxy={"namespace": pod.namespace, "pod": pod.name}, call=call)
        if event is None:
            return
        self._on_event()
        enrich(event, told_by=pod, mesh=self._store.mesh)
        shared = cast("Told", Shared(event))
        for watcher in tuple(self._watchers):
            watcher.put(shared)

    def trouble(self, pod: Pod, reason: str) -> None:
        """See `Hears`."""
        if self._troubles.get(pod.key, "") == reason or pod.key not in self._observations:
            return
        if reason:
            self._troubles[pod.key] = reason
        else:
            del self._troubles[pod.key]
        self._show()

    def lost(self, events: int) -> None:
        """See `Hears`."""
        for watcher in tuple(self._watchers):
            watcher.lose(events)

    def _on_changes(self, changes: Sequence[Change]) -> None:
        if self._due is None and any(isinstance(one.subject, Pod) for one in changes):
            self._due = asyncio.get_running_loop().call_later(SETTLE_S, self._look)

    def _look(self) -> None:
        """Observe exactly those who are meant now."""
        self._due = None
        if self._closed:
            return
        wanted = {pod.key: pod for pod in select(self._request, self._store.mesh).watched}
        before = set(self._observations)
        for key, observed in tuple(self._observations.items()):
            pod = wanted.get(key)
            if pod is None or _place(pod) != _place(observed.pod):
                del self._observations[key]
                self._troubles.pop(key, None)
                self._end(observed)
            else:
                observed.pod = pod
        for pod in wanted.values():
            if pod.key not in self._observations:
                self._observations[pod.key] = self._observe(pod, of=len(wanted))
        if before != set(self._observations):
            self._show()

    def _observe(self, pod: Pod, *, of: int) -> Observation:
        # Where each tells less than one request in a window, they must not all begin with one.
        share = share_of(self._request.max_rps, proxies=of)
        late = len(self._observations) / max(of, 1) * share.window_s if share.limit == 1 else 0.0
        return Observation(
            pod,
            self._request,
            proxies=self._proxies,
            share=self._share,
            hears=self,
            delay_s=late,
        )

    def _share(self) -> Share:
        return share_of(self._request.max_rps, proxies=len(self._observations))

    def _end(self, observed: Observation) -> None:
        task = spawn(observed.stop(), name="tap-stop")
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    def _show(self) -> None:
        for watcher in tuple(self._watchers):
            watcher.show(self._watching())

    def _watching(self) -> Watching:
        troubles: list[Trouble] = [
            {"namespace": key.namespace, "pod": key.name, "reason": reason}
            for key, reason in sorted(self._troubles.items())[:TROUBLES_MAX]
        ]
        return {"notice": "watching", "pods": len(self._observations), "troubles": troubles}

    def _leave(self, watcher: Watcher) -> None:
        self._watchers.pop(watcher, None)
        if not self._watchers:
            self._stop()

    def _stop(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._subscription.close()
        if self._due is not None:
            self._due.cancel()
        for observed in self._observations.values():
            self._end(observed)
        self._observations.clear()
        self._on_empty(self._request)


def _place(pod: Pod) -> tuple[str, str]:
    """What a proxy is reached by: when it is another one, so is the proxy."""
    return pod.tap_addr, pod.identity
