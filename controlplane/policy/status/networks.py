"""The status of an egress network: whether it is outside of the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.egress import EgressNetwork
from linkerd2_py.controlplane.mesh.status import Condition
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.attachment import network_acceptance
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.status.conditions import beside_others
from linkerd2_py.controlplane.streams.topics import Topic


def said_of_network(network: EgressNetwork) -> tuple[Condition, ...]:
    """What its status says now, as far as that is ours."""
    return tuple(one for one in network.conditions if one.type == "Accepted")


def wanted_of_network(
    network: EgressNetwork, *, mesh: Mesh, cluster: Cluster
) -> tuple[Condition, ...]:
    """What it should say, whatever else there is."""
    del mesh
    return (network_acceptance(network, cluster=cluster),)


def status_of_network(
    network: EgressNetwork, found: Json, *, mesh: Mesh, cluster: Cluster, now: str
) -> Json | None:
    """The status of the object `found` with our condition among those of others; None where it says that."""
    wanted = wanted_of_network(network, mesh=mesh, cluster=cluster)
    conditions = beside_others(found, wanted, now=now)
    return None if conditions is None else {"conditions": conditions}


def topics_of_network(network: EgressNetwork) -> Iterator[Topic]:  # noqa: ARG001
    """Nothing beside itself."""
    return iter(())
