"""What the containers of a meshed pod mount."""

from __future__ import annotations

from linkerd2_py.charts.nodes import Not, Ref, Tree, When
from linkerd2_py.charts.pod.before import CNI


def volumes() -> list[Tree]:
    """In this order."""
    return [
        When(Not(CNI), {"name": Ref("proxyInit.xtMountPath.name"), "emptyDir": {}}),
        {"name": "linkerd-identity-end-entity", "emptyDir": {"medium": "Memory"}},
        When(Ref("identity.serviceAccountTokenProjection"), identity_token()),
    ]


def identity_token() -> Tree:
    """A token that the identity service alone takes."""
    token: Tree = {
        "audience": "identity.l5d.io",
        "expirationSeconds": 86400,
        "path": "linkerd-identity-token",
    }
    return {
        "name": "linkerd-identity-token",
        "projected": {"sources": [{"serviceAccountToken": token}]},
    }
