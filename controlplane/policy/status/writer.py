"""Writes statuses, as long as it leads, and only where they are not what they should be.

    a change of the mesh ─► which statuses it may make different ─► each of them: what it says, what it should
      equal: nothing is asked or written
      else:  the object is read, compared once more, and patched if nobody else has changed it meanwhile

What was written is looked at again a while later, and what could not be is tried again, later each time. So
two who disagree about a status write it ever more seldom.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.slices import next_slice
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import MeshObject, Service
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.store import Kind, MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.status.kinds import STATUSES, Subject
from linkerd2_py.controlplane.policy.status.pace import Pace
from linkerd2_py.controlplane.policy.status.topics import topics_of
from linkerd2_py.controlplane.streams.topics import TopicIndex

logger = logging.getLogger(__name__)

LEASE: Final = "policy-controller-write"
"""What contenders for writing are elected by, as Linkerd's."""
MADE_FROM: Final[tuple[Kind, ...]] = (Service, Server, *STATUSES)
"""The kinds that statuses are made from."""
# How often it is seen that somebody else leads, while nothing is to be written.
_LOOK_S: Final = 5.0


class Leadership(Protocol):
    """Whether this process is the one that writes."""

    @property
    def is_leader(self) -> bool:
        """At this very moment."""

    async def elected(self) -> None:
        """Wait until it is."""


@dataclass(frozen=True, slots=True)
class _Metrics:
    """Linkerd's."""

    written: Counter
    failed: Counter
    seconds: Histogram

    @classmethod
    def register(cls, registry: CollectorRegistry) -> _Metrics:
        return cls(
            Counter("resource_status_patches", "Statuses that were patched", registry=registry),
            Counter(
                "resource_status_patch_api_errors",
                "Patches of statuses that the API server did not take",
                registry=registry,
            ),
            Histogram(
                "resource_status_patch_duration_seconds",
                "How long the API server took for a patch of a status",
                registry=registry,
                buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
            ),
        )


class StatusWriter:
    """Keeps statuses of the objects in `store` what they should be, from `start` to `stop`."""

    def __init__(
        self,
        store: MeshStore,
        *,
        api: KubernetesApi,
        leadership: Leadership,
        cluster: Cluster,
        clock: Clock,
        metrics: CollectorRegistry,
        pace: Pace[Subject] | None = None,
    ) -> None:
        self._store = store
        self._mesh = store.mesh
        self._api = api
        self._leadership = leadership
        self._cluster = cluster
        self._clock = clock
        self._metrics = _Metrics.register(metrics)
        self._pace = pace or Pace(clock=clock)
        self._index: TopicIndex[Subject] = TopicIndex()
        # To be looked at, in this order; told of by the event.
        self._touched: dict[Subject, None] = {}
        self._touch = asyncio.Event()
        self._leads = False
        self._idle = True
        self._task: asyncio.Task[None] | None = None
        self._subscription = store.subscribe(self._on_changes)
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why something could not be written last, as long as something is left to be looked at."""
        return self._problem if self.unsettled else ""

    @property
    def unsettled(self) -> int:
        """How many were written a moment ago, or could not be, and are looked at again."""
        return len(self._pace)

    @property
    def is_settled(self) -> bool:
        """Whether it leads, and every status is what it should be."""
        return self._idle and self._leads and not self._touched and not self.unsettled

    def start(self) -> None:
        """Write from now on, whenever it leads."""
        self._task = supervise(self._run, name="status-writer")

    async def stop(self) -> None:
        """Write no more. May be repeated."""
        self._subscription.close()
        if self._task:
            await cancel_all([self._task])

    async def _run(self) -> None:
        await self._mesh.synced(MADE_FROM)
        while True:
            self._leads = False
            await self._leadership.elected()
            self._leads = True
            self._touch_all()
            while self._leadership.is_leader:
                await self._work_off()
                await self._something_to_do()

    async def _work_off(self) -> None:
        while self._touched and self._leadership.is_leader:
            await next_slice()
            self._idle = False
            subject = next(iter(self._touched))
            del self._touched[subject]
            await self._look_at(subject)
        self._idle = True

    async def _something_to_do(self) -> None:
        """Wait for a change, for what was put off, or for somebody else to lead."""
        put_off_s = self._pace.next_in_s()
        limit_s = _LOOK_S if put_off_s is None else min(_LOOK_S, put_off_s)
        self._touch.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._touch.wait()
        self._touched |= dict.fromkeys(self._pace.due())

    def _touch_all(self) -> None:
        for kind in STATUSES:
            self._touched |= {Subject(kind, key): None for key in self._mesh.tables[kind]}

    def _on_changes(self, changes: Sequence[Change]) -> None:
        # Whoever is elected looks at everything.
        if not self._leads:
            return
        for change in changes:
            subject = Subject(type(change.subject), change.subject.key)
            if subject.kind in STATUSES:
                self._touched[subject] = None
        self._touched |= self._index.touched(topics_of(changes))
        if self._touched:
            self._touch.set()

    async def _look_at(self, subject: Subject) -> None:
        found: MeshObject | None = self._mesh.tables[subject.kind].get(subject.key)
        if found is None:
            self._index.forget(subject)
        else:
            topics = STATUSES[subject.kind].topics(found)
            self._index.follow(subject, topics=frozenset(topics))
        # Also of what is not there: a kind may be away for a moment, while its definition is changed.
        if not self._pace.may_try(subject):
            return
        if found is None or self._says_what_it_should(subject, found):
            self._pace.settled(subject)
        else:
            await self._write(subject, found)

    def _says_what_it_should(self, subject: Subject, found: MeshObject) -> bool:
        of = STATUSES[subject.kind]
        return of.said(found) == of.wanted(found, mesh=self._mesh, cluster=self._cluster)

    async def _write(self, subject: Subject, found: MeshObject) -> None:
        try:
            written = await self._patch(subject, found)
        except ApiError as error:
            self._failed(subject, error)
            return
        self._problem = ""
        if written:
            logger.info("%s: wrote its status", subject)
            self._metrics.written.inc()
        # What the mesh knows of it may be older than what was read: a later look tells.
        self._pace.tried(subject)

    async def _patch(self, subject: Subject, found: MeshObject) -> bool:
        """Whether something had to be written, once the object is seen as it is now."""
        held = await self._api.get(subject.path, {})
        status = STATUSES[subject.kind].status(
            found, held, mesh=self._mesh, cluster=self._cluster, now=self._now()
        )
        # The lease may have run out meanwhile.
        if status is None or not self._leadership.is_leader:
            return False
        version = (held.get("metadata") or {}).get("resourceVersion")
        change: Json = {"metadata": {"resourceVersion": version}, "status": status}
        with self._metrics.seconds.time():
            await self._api.patch(f"{subject.path}/status", change)
        return True

    def _failed(self, subject: Subject, error: ApiError) -> None:
        if error.status == HTTPStatus.NOT_FOUND:
            # It went; the mesh will know soon.
            self._pace.tried(subject)
            return
        self._metrics.failed.inc()
        if str(error) != self._problem:
            logger.warning("%s: its status cannot be written: %s", subject, error)
        self._problem = str(error)
        self._pace.tried(subject, pause_s=error.retry_after_s)

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
