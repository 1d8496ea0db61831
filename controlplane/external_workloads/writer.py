"""Writes the slices of external workloads where they are not what they should be.

Those of a service that is deleted go with it: the cluster collects what it owned. Of who does not lead any
more nothing arrives that does harm: changes name the version that was seen, and new slices the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.external_workloads.edits import LIMIT, Edits, edits_of
from linkerd2_py.controlplane.external_workloads.objects import (
    changed_object,
    new_object,
    path_of,
)
from linkerd2_py.controlplane.external_workloads.wanted import wanted_of
from linkerd2_py.controlplane.kubernetes_api import KubernetesApi
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import ExternalWorkload, Key, Service
from linkerd2_py.controlplane.mesh.slices import WorkloadSlice
from linkerd2_py.controlplane.mesh.store import Kind, MeshStore
from linkerd2_py.controlplane.writing.pace import Pace
from linkerd2_py.controlplane.writing.writer import Counted, Leadership, Writer

LEASE: Final = "linkerd-destination-endpoint-write"
"""What contenders for writing are elected by, as Linkerd's."""
LEASE_S: Final = 30.0
MADE_FROM: Final[tuple[Kind, ...]] = (Service, ExternalWorkload, WorkloadSlice)
"""The kinds that slices are made from."""


class Served(NamedTuple):
    """A service whose slices are written."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"Service {self.namespace}/{self.name}"


class SliceWriter(Writer[Served]):
    """Keeps the slices for external workloads of all services in `store` what they should be, from `start` to
    `stop`, with at most `limit` endpoints in each.
    """

    def __init__(
        self,
        store: MeshStore,
        *,
        api: KubernetesApi,
        leadership: Leadership,
        clock: Clock,
        metrics: CollectorRegistry,
        pace: Pace[Served] | None = None,
        limit: int = LIMIT,
    ) -> None:
        super().__init__(
            store,
            what="slices",
            made_from=MADE_FROM,
            leadership=leadership,
            counted=_counted(metrics),
            clock=clock,
            pace=pace,
        )
        self._api = api
        self._limit = limit

    def _all(self) -> Iterator[Served]:
        return (Served(*key) for key in self._mesh.services)

    def _touched_by(self, changes: Sequence[Change]) -> Iterator[Served]:
        for change in changes:
            for side in (change.before, change.after):
                match side:
                    case Service():
                        yield Served(*side.key)
                    case WorkloadSlice():
                        yield Served(*side.service_key)
                    case ExternalWorkload():
                        for service in self._mesh.services_selecting(side):
                            yield Served(*service.key)

    def _differs(self, subject: Served) -> bool:
        return bool(self._edits(subject))

    def _edits(self, subject: Served) -> Edits:
        service = self._mesh.services.get(Key(*subject))
        if service is None or not service.uid:
            return Edits()
        return edits_of(
            service,
            wanted=wanted_of(service, workloads=self._mesh.externals_behind(service)),
            held=self._mesh.workload_slices_of(service.key),
            limit=self._limit,
        )

    async def _write(self, subject: Served) -> bool:
        create, change, delete = self._edits(subject)
        for one in create:
            if self._leadership.is_leader:
                await self._api.create(path_of(one.namespace), new_object(one))
        for one in change:
            if self._leadership.is_leader:
                await self._api.patch(path_of(*one.key), changed_object(one))
        for one in delete:
            if self._leadership.is_leader:
                await self._api.delete(path_of(*one.key), version=one.version)
        return True


def _counted(metrics: CollectorRegistry) -> Counted:
    return Counted(
        Counter(
            "external_workload_slices_written",
            "Services whose slices of external workloads were written",
            registry=metrics,
        ),
        Counter(
            "external_workload_slices_write_errors",
            "Writes of slices of external workloads that the API server did not take",
            registry=metrics,
        ),
    )
