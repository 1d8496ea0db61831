"""The policy component: who may call a workload, and how its own calls are treated. Knows no gRPC."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.inbound.inbound import InboundPolicies
from linkerd2_py.controlplane.policy.outbound.outbound import OutboundPolicies
from linkerd2_py.controlplane.policy.settings import Settings


class Policy:
    """Answers about the mesh in `store`, until closed."""

    def __init__(self, store: MeshStore, *, settings: Settings, metrics: CollectorRegistry) -> None:
        self.inbound = InboundPolicies(store, settings=settings, metrics=metrics)
        self.outbound = OutboundPolicies(store, cluster=settings.cluster, metrics=metrics)

    @property
    def is_synced(self) -> bool:
        """Whether all that answers are made from has been listed."""
        return self.inbound.is_synced and self.outbound.is_synced

    def close(self) -> None:
        """Hear no more changes and end all streams. May be repeated."""
        self.inbound.close()
        self.outbound.close()
