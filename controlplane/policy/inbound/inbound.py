"""The component that answers who may call which port of a workload. Knows no gRPC."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.inbound.answers import ANSWERED_FROM, PortAnswer
from linkerd2_py.controlplane.policy.inbound.questions import PortQuestion
from linkerd2_py.controlplane.policy.inbound.topics import topics_of
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.controlplane.streams.answering import Answering


class InboundPolicies(Answering[PortQuestion]):
    """Answers raise `RefusedError` where there is nobody."""

    def __init__(self, store: MeshStore, *, settings: Settings, metrics: CollectorRegistry) -> None:
        super().__init__(
            store,
            name="inbound_policy",
            needs=ANSWERED_FROM,
            answer=lambda question, mesh: PortAnswer(question, mesh=mesh, settings=settings),
            topics_of=topics_of,
            metrics=metrics,
        )
