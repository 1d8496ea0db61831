"""What lies outside of the cluster, where somebody says what clients may do there."""

from __future__ import annotations

from dataclasses import dataclass, field

from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.objects import (
    DEFAULT_OPAQUE_PORTS,
    Key,
    Labels,
    MeshObject,
    no_labels,
)
from linkerd2_py.controlplane.mesh.status import Condition


@dataclass(frozen=True, slots=True)
class EgressNetwork(MeshObject):
    """Addresses outside: traffic that no route is about is allowed or not.

    `networks` None means everything but the cluster. Of `opaque_ports` no bytes are parsed. `conditions` are
    what we last said of it.
    """

    namespace: str
    name: str
    allows: bool
    networks: tuple[Network, ...] | None = None
    created: float = 0.0
    annotations: Labels = field(default_factory=no_labels)
    opaque_ports: frozenset[int] = DEFAULT_OPAQUE_PORTS
    conditions: tuple[Condition, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)
