"""The component that answers who may call which port of a workload. Knows no gRPC."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.inbound.answers import ANSWERED_FROM, PortAnswer
from linkerd2_py.controlplane.policy.inbound.questions import PortQuestion
from linkerd2_py.controlplane.policy.inbound.topics import topics_of
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.controlplane.streams.watches import Watches


class InboundPolicies:
    """Answers about the mesh in `store`, until closed."""

    def __init__(self, store: MeshStore, *, settings: Settings, metrics: CollectorRegistry) -> None:
        self._mesh = store.mesh
        overflows = Counter(
            "inbound_policy_updates_queue_overflow",
            "Streams of inbound policies that were ended because their proxy did not keep up",
            registry=metrics,
        )
        self.watches: Watches[PortQuestion] = Watches(
            store.mesh,
            name="inbound-policy",
            needs=ANSWERED_FROM,
            answer=lambda question, mesh: PortAnswer(question, mesh=mesh, settings=settings),
            on_overflow=overflows.inc,
        )
        streams = Gauge(
            "inbound_policy_subscribers", "Open streams of inbound policies", registry=metrics
        )
        streams.set_function(lambda: self.watches.streams)
        self._subscription = store.subscribe(self._on_changes)

    @property
    def is_synced(self) -> bool:
        """Whether all that answers are made from has been listed."""
        return all(self._mesh.is_synced(kind) for kind in ANSWERED_FROM)

    async def synced(self) -> None:
        """Wait until it has."""
        await self._mesh.synced(ANSWERED_FROM)

    async def now(self, question: PortQuestion) -> bytes:
        """What holds now. Raises `RefusedError`."""
        (policy,) = await self.watches.snapshot(question)
        return policy

    def close(self) -> None:
        """Hear no more changes and end all streams. May be repeated."""
        self._subscription.close()
        self.watches.close()

    def _on_changes(self, changes: Sequence[Change]) -> None:
        self.watches.touch(topics_of(changes))
