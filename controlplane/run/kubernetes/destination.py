"""`destination`: holds the watches, and answers what is asked of names and addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.settings import DEFAULTS, Settings
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.run.components import (
    serve_destination,
    serve_proxy_api,
    what_proxies_ask,
)
from linkerd2_py.controlplane.run.kubernetes.cluster import ask_api_server, follow_cluster
from linkerd2_py.controlplane.run.kubernetes.process import Process
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities


@dataclass(frozen=True, slots=True)
class DestinationProcess:
    """What its flags say."""

    listen: Sequence[Listen]
    identities: Identities
    kubeconfig: Path | None = None
    settings: Settings = DEFAULTS

    async def compose(self, process: Process) -> None:
        """See `Compose`."""
        services = what_proxies_ask(destination=await self.answer(process))
        await process.running.enter_async_context(serve_proxy_api(services, listen=self.listen))

    async def answer(self, process: Process) -> Destination:
        """The component alone."""
        api = await ask_api_server(process, self.kubeconfig)
        cluster = await follow_cluster(
            process,
            api,
            identities=self.identities,
            default_opaque_ports=self.settings.default_opaque_ports,
        )
        destination = process.running.enter_context(
            serve_destination(cluster.store, metrics=process.metrics, settings=self.settings)
        )
        process.health.needs.append(cluster.needed(lambda: destination.is_synced))
        return destination
