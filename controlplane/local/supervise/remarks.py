"""What of a mesh.yaml that is followed cannot be as it says, where its pods live."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from linkerd2_py.controlplane.mesh.policy import NetworkAuthentication
from linkerd2_py.controlplane.sources.local.mesh_spec import MeshSpec

_EVERYBODY_IS_AT: Final = ip_address("127.0.0.1")


def remarks_on(mesh: MeshSpec, *, transparent: bool) -> list[str]:
    """A line each."""
    if transparent:
        return []
    named = [one for one in mesh.policies if isinstance(one, NetworkAuthentication)]
    return [
        f"{one.name} lets in clients of other networks, and all are at {_EVERYBODY_IS_AT} here:"
        " --transparent gives them addresses of their own"
        for one in named
        if not any(_EVERYBODY_IS_AT in network for network in one.networks)
    ]
