"""Writes statuses where they are not what they should be: the object is read, compared once more, and patched
if nobody else has changed it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.kubernetes_api import Json, KubernetesApi
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import MeshObject, Service
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.store import Kind, MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.status.kinds import STATUSES, Subject
from linkerd2_py.controlplane.policy.status.topics import topics_of
from linkerd2_py.controlplane.streams.topics import TopicIndex
from linkerd2_py.controlplane.writing.pace import Pace
from linkerd2_py.controlplane.writing.writer import Counted, Leadership, Writer

LEASE: Final = "policy-controller-write"
"""What contenders for writing are elected by, as Linkerd's."""
MADE_FROM: Final[tuple[Kind, ...]] = (Service, Server, *STATUSES)
"""The kinds that statuses are made from."""


class StatusWriter(Writer[Subject]):
    """Keeps statuses of the objects in `store` what they should be, from `start` to `stop`. Its metrics are
    Linkerd's.
    """

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
        super().__init__(
            store,
            what="status",
            made_from=MADE_FROM,
            leadership=leadership,
            counted=_counted(metrics),
            clock=clock,
            pace=pace,
        )
        self._api = api
        self._cluster = cluster
        self._clock = clock
        self._seconds = Histogram(
            "resource_status_patch_duration_seconds",
            "How long the API server took for a patch of a status",
            registry=metrics,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
        )
        self._index: TopicIndex[Subject] = TopicIndex()

    def _all(self) -> Iterator[Subject]:
        for kind in STATUSES:
            for key in self._mesh.tables[kind]:
                yield Subject(kind, key)

    def _touched_by(self, changes: Sequence[Change]) -> Iterator[Subject]:
        for change in changes:
            subject = Subject(type(change.subject), change.subject.key)
            if subject.kind in STATUSES:
                yield subject
        yield from self._index.touched(topics_of(changes))

    def _differs(self, subject: Subject) -> bool:
        found = self._found(subject)
        if found is None:
            self._index.forget(subject)
            return False
        of = STATUSES[subject.kind]
        self._index.follow(subject, topics=frozenset(of.topics(found)))
        return bool(of.said(found) != of.wanted(found, mesh=self._mesh, cluster=self._cluster))

    def _found(self, subject: Subject) -> MeshObject | None:
        found: MeshObject | None = self._mesh.tables[subject.kind].get(subject.key)
        return found

    async def _write(self, subject: Subject) -> bool:
        held = await self._api.get(subject.path, {})
        found = self._found(subject)
        if found is None:
            return False
        status = STATUSES[subject.kind].status(
            found, held, mesh=self._mesh, cluster=self._cluster, now=self._now()
        )
        # The lease may have run out meanwhile.
        if status is None or not self._leadership.is_leader:
            return False
        version = (held.get("metadata") or {}).get("resourceVersion")
        change: Json = {"metadata": {"resourceVersion": version}, "status": status}
        with self._seconds.time():
            await self._api.patch(f"{subject.path}/status", change)
        return True

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _counted(metrics: CollectorRegistry) -> Counted:
    return Counted(
        Counter("resource_status_patches", "Statuses that were patched", registry=metrics),
        Counter(
            "resource_status_patch_api_errors",
            "Patches of statuses that the API server did not take",
            registry=metrics,
        ),
    )
