"""`destination`: holds the watches, answers what is asked of names, addresses and policies, and writes what
becomes of routes into their statuses, and who serves from outside of the cluster into slices.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.destination.settings import DEFAULTS, Settings
from linkerd2_py.controlplane.external_workloads.writer import LEASE as SLICE_LEASE
from linkerd2_py.controlplane.external_workloads.writer import LEASE_S as SLICE_LEASE_S
from linkerd2_py.controlplane.external_workloads.writer import SliceWriter
from linkerd2_py.controlplane.leader import Leader, LeaseTimes
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.admission.review import validate
from linkerd2_py.controlplane.policy.settings import Settings as PolicySettings
from linkerd2_py.controlplane.policy.status.writer import LEASE as STATUS_LEASE
from linkerd2_py.controlplane.policy.status.writer import StatusWriter
from linkerd2_py.controlplane.proxy_api.server import Served
from linkerd2_py.controlplane.public_api.tls import TlsFiles
from linkerd2_py.controlplane.run.components import (
    serve_destination,
    serve_policy,
    serve_proxy_api,
    serve_webhook,
    what_proxies_ask,
)
from linkerd2_py.controlplane.run.kubernetes.cluster import follow_cluster
from linkerd2_py.controlplane.run.kubernetes.process import Process, ask_api_server
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.writing.writer import Writer


class Admission(NamedTuple):
    """Where API servers ask, by TLS, whether objects can mean anything."""

    listen: Listen
    tls: TlsFiles


@dataclass(frozen=True, slots=True)
class DestinationProcess:
    """What its flags say."""

    listen: Sequence[Listen]
    identities: Identities
    kubeconfig: Path | None = None
    settings: Settings = DEFAULTS
    policy: PolicySettings = field(default_factory=PolicySettings)
    admission: Admission | None = None

    async def compose(self, process: Process) -> None:
        """See `Compose`."""
        if self.admission:
            listen, tls = self.admission
            validating = serve_webhook(validate, name="policy-validator", tls=tls, listen=listen)
            await process.running.enter_async_context(validating)
        services = await self.answer(process)
        await process.running.enter_async_context(serve_proxy_api(services, listen=self.listen))

    async def answer(self, process: Process) -> list[Served]:
        """The components alone."""
        running, metrics = process.running, process.metrics
        api = await ask_api_server(process, self.kubeconfig)
        cluster = await follow_cluster(
            process,
            api,
            identities=self.identities,
            default_opaque_ports=self.settings.default_opaque_ports,
        )
        destination = running.enter_context(
            serve_destination(cluster.store, metrics=metrics, settings=self.settings)
        )
        policy = running.enter_context(
            serve_policy(cluster.store, settings=self.policy, metrics=metrics)
        )
        self._write_statuses(process, api, store=cluster.store)
        self._write_slices(process, api, store=cluster.store)
        process.health.needs.append(
            cluster.needed(lambda: destination.is_synced and policy.is_synced)
        )
        return what_proxies_ask(destination=destination, policy=policy)

    def _write_statuses(self, process: Process, api: ApiServer, *, store: MeshStore) -> None:
        """By one of all the processes like this."""
        leader = self._contend(process, api, name=STATUS_LEASE)
        writer = StatusWriter(
            store,
            api=api,
            leadership=leader,
            cluster=self.policy.cluster,
            clock=SystemClock(),
            metrics=process.metrics,
        )
        _write(process, writer, leader=leader)

    def _write_slices(self, process: Process, api: ApiServer, *, store: MeshStore) -> None:
        """By one of all the processes like this, and of Linkerd's."""
        leader = self._contend(
            process, api, name=SLICE_LEASE, times=LeaseTimes(lease_s=SLICE_LEASE_S)
        )
        writer = SliceWriter(
            store, api=api, leadership=leader, clock=SystemClock(), metrics=process.metrics
        )
        _write(process, writer, leader=leader)

    def _contend(
        self, process: Process, api: ApiServer, *, name: str, times: LeaseTimes | None = None
    ) -> Leader:
        leader = Leader(
            api,
            namespace=self.policy.control_plane_namespace,
            name=name,
            # A pod's name, and which of its processes.
            identity=f"{socket.gethostname()}_{secrets.token_hex(4)}",
            clock=SystemClock(),
            times=times,
        )
        process.running.push_async_callback(leader.stop)
        leader.start()
        return leader


def _write(process: Process, writer: Writer[Any], *, leader: Leader) -> None:
    process.running.push_async_callback(writer.stop)
    process.health.problems.append(lambda: filter(None, _told(leader, writer)))
    writer.start()


def _told(leader: Leader, writer: Writer[Any]) -> Sequence[str]:
    lease = leader.problem and f"leases.coordination.k8s.io: {leader.problem}"
    return lease, writer.problem
