"""The mesh that a cluster is, for the components that answer from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.mesh.objects import DEFAULT_OPAQUE_PORTS
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.run.kubernetes.process import Process
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.sources.kubernetes.source import KubernetesSource


@dataclass(frozen=True, slots=True)
class Cluster:
    """A store that is kept as the cluster is."""

    store: MeshStore
    source: KubernetesSource

    def needed(self, is_synced: Callable[[], bool]) -> Callable[[], str]:
        """What a component that is synced at last waits for until then."""

        def missing() -> str:
            return "" if is_synced() else f"not listed yet: {', '.join(self.source.unsynced)}"

        return missing


async def follow_cluster(
    process: Process,
    api: ApiServer,
    *,
    identities: Identities,
    default_opaque_ports: frozenset[int] = DEFAULT_OPAQUE_PORTS,
) -> Cluster:
    """What cannot be followed of it is in trouble, and the rest goes on."""
    store = MeshStore()
    source = KubernetesSource(
        api,
        store=store,
        clock=SystemClock(),
        identities=identities,
        default_opaque_ports=default_opaque_ports,
    )
    process.running.push_async_callback(source.stop)
    process.health.problems.append(lambda: source.problems)
    return Cluster(store, source)
