"""The component that answers how traffic from the mesh is treated. Knows no gRPC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry

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
from linkerd2_py.controlplane.streams.answering import Answering
from linkerd2_py.controlplane.streams.stream import UpdateStream
from linkerd2_py.controlplane.streams.topics import Topic


class OutboundPolicies(Answering[Question]):
    """Answers raise `NoSuchServiceError` where there is nobody."""

    def __init__(self, store: MeshStore, *, cluster: Cluster, metrics: CollectorRegistry) -> None:
        self._policies = policies = Policies(store.mesh, cluster=cluster)
        super().__init__(
            store,
            name="outbound_policy",
            needs=ANSWERED_FROM,
            answer=lambda question, _: PolicyAnswer(question, policies=policies),
            topics_of=self._touched,
            metrics=metrics,
        )

    async def now(self, question: Question) -> bytes:
        """What holds now. Raises `NoSuchServiceError`."""
        await self._ensure_somebody(question)
        return await super().now(question)

    async def subscribe(self, question: Question) -> UpdateStream:
        """A stream that begins with what holds now; give it back with `unsubscribe`. Raises
        `NoSuchServiceError`.
        """
        await self._ensure_somebody(question)
        return await self.watches.subscribe(question)

    def unsubscribe(self, question: Question, *, stream: UpdateStream) -> None:
        """Forget a stream. May be repeated."""
        self.watches.unsubscribe(question, stream=stream)

    async def _ensure_somebody(self, question: Question) -> None:
        """What is left to open streams of somebody who is gone is nothing to begin with."""
        await self.synced()
        self._policies.ensure_somebody(question)

    def _touched(self, changes: Sequence[Change]) -> Iterable[Topic]:
        topics = topics_of(changes)
        if topics:
            self._policies.changed()
        return topics
