"""`public-api`: what people ask of the mesh, with the samples that it scrapes itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.scraper import INTERVAL_S
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.public_api.operations import Parts
from linkerd2_py.controlplane.run.components import scrape, serve_destination, serve_public_api
from linkerd2_py.controlplane.run.health import health_problem
from linkerd2_py.controlplane.run.kubernetes.cluster import ask_api_server, follow_cluster
from linkerd2_py.controlplane.run.kubernetes.process import Process
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities


@dataclass(frozen=True, slots=True)
class PublicApiProcess:
    """What its flags say; `destination` is where proxies ask, which the self-check asks how it is."""

    listen: Listen
    destination: str
    identities: Identities
    kubeconfig: Path | None = None

    async def compose(self, process: Process) -> None:
        """See `Compose`."""
        running, metrics = process.running, process.metrics
        api = await ask_api_server(process, self.kubeconfig)
        cluster = await follow_cluster(process, api, identities=self.identities)
        store = cluster.store
        process.health.needs.append(cluster.needed(lambda: not store.mesh.unsynced))
        destination = running.enter_context(serve_destination(store, metrics=metrics))
        samples, clock = SampleStore(), SystemClock()
        scraper = await running.enter_async_context(
            scrape(store, samples=samples, interval_s=INTERVAL_S, clock=clock)
        )
        parts = Parts(
            mesh=store.mesh,
            destination=destination,
            metrics=EmbeddedStore(samples, clock=clock),
            reports=scraper,
            clock=clock,
            proxy_api_problem=partial(health_problem, self.destination),
            source="kubernetes",
        )
        await running.enter_async_context(
            serve_public_api(parts, metrics=metrics, listen=self.listen)
        )
