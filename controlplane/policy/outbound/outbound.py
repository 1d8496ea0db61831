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
from linkerd2_py.controlplane.streams.watches import Watches


class OutboundPolicies:
    """Answers about the mesh in `store`, until closed."""

    def __init__(self, store: MeshStore, *, cluster: Cluster, metrics: CollectorRegistry) -> None:
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

    def close(self) -> None:
        """Hear no more changes and end all streams. May be repeated."""
        self._subscription.close()
        self.watches.close()

    def _on_changes(self, changes: Sequence[Change]) -> None:
        topics = topics_of(changes)
        if topics:
            self._policies.changed()
            self.watches.touch(topics)
