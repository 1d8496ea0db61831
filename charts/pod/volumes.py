"""What the containers of a meshed pod mount."""

from __future__ import annotations

from linkerd2_py.charts.nodes import Not, Ref, Tree, When
from linkerd2_py.charts.pod.before import CNI
from linkerd2_py.charts.pod.kinds import TRACED


def volumes() -> list[Tree]:
    """In this order."""
    return [
        When(Not(CNI), {"name": Ref("proxyInit.xtMountPath.name"), "emptyDir": {}}),
        {"name": "linkerd-identity-end-entity", "emptyDir": {"medium": "Memory"}},
        When(TRACED, _pod_info()),
        When(Ref("identity.serviceAccountTokenProjection"), identity_token()),
    ]


def _pod_info() -> Tree:
    labels: Tree = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    return {"name": "linkerd-podinfo", "downwardAPI": {"items": [labels]}}


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
