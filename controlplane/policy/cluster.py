"""What policies take for granted of the cluster that they are about."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from linkerd2_py.controlplane.mesh.networks import Address, Cidr

CLUSTER_NETWORKS: Final = tuple(
    ip_network(one)
    for one in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8")
)
"""Linkerd's: where pods and services of mostly any cluster are."""
EGRESS_NAMESPACE: Final = "linkerd-egress"


@dataclass(frozen=True, slots=True)
class Cluster:
    """`networks` are all that pods and services have addresses of; EgressNetworks of `egress_namespace` are
    for clients of every namespace that has none of its own. `allow_l5d_request_headers`: whether requests may
    say by headers how they are retried and timed out.
    """

    networks: tuple[Cidr, ...] = CLUSTER_NETWORKS
    egress_namespace: str = EGRESS_NAMESPACE
    allow_l5d_request_headers: bool = False

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self.networks)
