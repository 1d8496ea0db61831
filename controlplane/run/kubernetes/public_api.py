"""`public-api`: what people ask of the mesh, with the samples of a Prometheus, or those that it scrapes
itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.metrics.embedded.scraper import INTERVAL_S
from linkerd2_py.controlplane.metrics.prometheus.store import (
    INTERVAL_S as PROMETHEUS_INTERVAL_S,
)
from linkerd2_py.controlplane.public_api.operations import Parts
from linkerd2_py.controlplane.run.components import (
    ask_prometheus,
    follow_changes,
    keep_samples,
    serve_destination,
    serve_public_api,
)
from linkerd2_py.controlplane.run.health import health_problem
from linkerd2_py.controlplane.run.kubernetes.cluster import follow_cluster
from linkerd2_py.controlplane.run.kubernetes.process import Process, ask_api_server
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities


@dataclass(frozen=True, slots=True)
class PublicApiProcess:
    """What its flags say; `destination` is where proxies ask, which the self-check asks how it is."""

    listen: Listen
    destination: str
    identities: Identities
    kubeconfig: Path | None = None
    prometheus: str = ""
    """The URL of one; where there is none, samples are this process's own."""

    async def compose(self, process: Process) -> None:
        """See `Compose`."""
        running, metrics = process.running, process.metrics
        api = await ask_api_server(process, self.kubeconfig)
        cluster = await follow_cluster(process, api, identities=self.identities)
        store = cluster.store
        process.health.needs.append(cluster.needed(lambda: not store.mesh.unsynced))
        destination = running.enter_context(serve_destination(store, metrics=metrics))
        clock = SystemClock()
        samples = await running.enter_async_context(
            ask_prometheus(
                self.prometheus, store=store, interval_s=PROMETHEUS_INTERVAL_S, clock=clock
            )
            if self.prometheus
            else keep_samples(store, interval_s=INTERVAL_S, clock=clock)
        )
        changes = running.enter_context(follow_changes(store, clock=clock))
        parts = Parts(
            mesh=store.mesh,
            destination=destination,
            metrics=samples.metrics,
            reports=samples.reports,
            prometheus_problem=samples.prometheus_problem,
            clock=clock,
            proxy_api_problem=partial(health_problem, self.destination),
            source="kubernetes",
            changes=lambda: changes.kept,
        )
        await running.enter_async_context(
            serve_public_api(parts, metrics=metrics, listen=self.listen)
        )
