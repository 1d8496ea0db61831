"""The component that answers how traffic from the mesh is treated. Knows no gRPC."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.outbound.answers import (
    ANSWERED_FROM,
    Policies,
    PolicyAnswer,
)
from linkerd2_py.controlplane.policy.outbound.targets import Question
from linkerd2_py.controlplane.policy.outbound.topics import topics_of
from linkerd2_py.controlplane.streams.stream import UpdateStream
from linkerd2_py.controlplane.streams.watches import Watches


class OutboundPolicies:
    """Answers about the mesh in `store`, until closed."""

    def __init__(self, store: MeshStore, *, cluster: Cluster, metrics: CollectorRegistry) -> None:
        self._mesh = store.mesh
        self._policies = policies = Policies(store.mesh, cluster=cluster)
        overflows = Counter(
            "outbound_policy_updates_queue_overflow",
            "Streams of outbound policies that were ended because their proxy did not keep up",
            registry=metrics,
        )
        self.watches: Watches[Question] = Watches(
            store.mesh,
            name="outbound-policy",
            needs=ANSWERED_FROM,
            answer=lambda question, _: PolicyAnswer(question, policies=policies),
            on_overflow=overflows.inc,
        )
        streams = Gauge(
            "outbound_policy_subscribers", "Open streams of outbound policies", registry=metrics
        )
        streams.set_function(lambda: self.watches.streams)
        self._subscription = store.subscribe(self._on_changes)

    @property
    def is_synced(self) -> bool:
        """Whether all that answers are made from has been listed."""
        return all(self._mesh.is_synced(kind) for kind in ANSWERED_FROM)

    async def synced(self) -> None:
        """Wait until it has: before that nobody knows what does not exist."""
        await self._mesh.synced(ANSWERED_FROM)

    async def now(self, question: Question) -> bytes:
        """What holds now. Raises `NoSuchServiceError`."""
        await self._ensure_somebody(question)
        (policy,) = await self.watches.snapshot(question)
        return policy

    async def subscribe(self, question: Question) -> UpdateStream:
        """A stream that begins with what holds now; give it back with `unsubscribe`. Raises
        `NoSuchServiceError`.
        """
        await self._ensure_somebody(question)
        return await self.watches.subscribe(question)

    def unsubscribe(self, question: Question, *, stream: UpdateStream) -> None:
        """Forget a stream. May be repeated."""
        self.watches.unsubscribe(question, stream=stream)

    def close(self) -> None:
        """Hear no more changes and end all streams. May be repeated."""
        self._subscription.close()
        self.watches.close()

    async def _ensure_somebody(self, question: Question) -> None:
        """What is left to open streams of somebody who is gone is nothing to begin with."""
        await self.synced()
        self._policies.ensure_somebody(question)

    def _on_changes(self, changes: Sequence[Change]) -> None:
        topics = topics_of(changes)
        if topics:
            self._policies.changed()
            self.watches.touch(topics)
