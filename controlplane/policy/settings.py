"""What is the same in every answer, named as Linkerd's flags."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from linkerd2_py.base.names import CONTROL_PLANE_NAMESPACE
from linkerd2_py.controlplane.mesh.networks import Cidr
from linkerd2_py.controlplane.policy.cluster import Cluster

ALL_NETWORKS: Final[tuple[Cidr, ...]] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))


@dataclass(frozen=True, slots=True)
class Settings:
    """`default_policy` holds where nobody says another; `probe_networks` are where the kubelets are that ask
    how pods are. Identities end with `identity_domain`.
    """

    cluster: Cluster = field(default_factory=Cluster)
    default_policy: str = "all-unauthenticated"
    probe_networks: tuple[Cidr, ...] = ALL_NETWORKS
    control_plane_namespace: str = CONTROL_PLANE_NAMESPACE
    identity_domain: str = "cluster.local"
    detect_timeout_s: int = 10

    def identity_of(self, service_account: str, *, namespace: str) -> str:
        """The name in the certificates of an account's workloads; `*` is every account."""
        return (
            f"{service_account}.{namespace}.serviceaccount.identity."
            f"{self.control_plane_namespace}.{self.identity_domain}"
        )
