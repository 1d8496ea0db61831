"""Who may call whom, as objects of the mesh: what policy.linkerd.io says about ports of pods."""

from __future__ import annotations

from dataclasses import dataclass

from linkerd2_py.controlplane.mesh.objects import Key, MeshObject
from linkerd2_py.controlplane.mesh.selector import Selector


@dataclass(frozen=True, slots=True)
class Server(MeshObject):
    """A port of some pods, or of some external workloads, by number or by the name that they give it.

    `proxy_protocol` and `access_policy` are as Linkerd spells them (`HTTP/1`, `all-authenticated`).
    Exactly one selector is not None.
    """

    namespace: str
    name: str
    port: int | str
    pods: Selector | None = None
    external_workloads: Selector | None = None
    proxy_protocol: str = "unknown"
    access_policy: str = "deny"

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)
