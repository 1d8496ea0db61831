"""Default policies: whom a port lets in that nobody says anything else of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from linkerd2_py.controlplane.mesh.networks import Network
from linkerd2_py.controlplane.mesh.policy import Clients, Identities
from linkerd2_py.controlplane.policy.settings import ALL_NETWORKS

EVERYWHERE: Final = tuple(map(Network, ALL_NETWORKS))
# Whoever has an identity of the mesh.
_ANYBODY: Final = Identities(names=("*",))
DEFAULT_POLICIES: Final[dict[str, Clients | None]] = {
    "all-unauthenticated": Clients(EVERYWHERE),
    "all-authenticated": Clients(EVERYWHERE, _ANYBODY),
    "cluster-unauthenticated": Clients(),
    "cluster-authenticated": Clients(identities=_ANYBODY),
    "audit": Clients(EVERYWHERE),
    "deny": None,
}
"""As annotations and Servers spell them; `audit` lets everybody in, and has it counted."""


def default_policy(said: Iterable[str], *, identified: bool) -> str:
    """The first that is one; where clients must be `identified`, one that lets strangers in does so no
    more.
    """
    policy = next((one for one in said if one in DEFAULT_POLICIES), "deny")
    if identified and policy.endswith("-unauthenticated"):
        return f"{policy.removesuffix('-unauthenticated')}-authenticated"
    return policy
