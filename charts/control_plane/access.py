"""Accounts of components, and what each of them may do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from linkerd2_py.charts.control_plane.named import metadata
from linkerd2_py.charts.nodes import NAMESPACE, Items, Operand, Ref, Tree, When, text

Rule = dict[str, Tree]

_RBAC: Final = "rbac.authorization.k8s.io"


def rule(
    group: str, resources: Sequence[str], verbs: Sequence[str], *, names: Sequence[str] = ()
) -> Rule:
    """May do this, with objects of these names if there are any."""
    some: Rule = {"resourceNames": [*names]} if names else {}
    return {"apiGroups": [group], "resources": [*resources], "verbs": [*verbs], **some}


def account(name: str, component: str) -> dict[str, Tree]:
    """Whose token is not put into pods unasked."""
    secrets = Ref("imagePullSecrets")
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(name, component),
        "automountServiceAccountToken": False,
        "imagePullSecrets": When(secrets, secrets),
    }


def in_cluster(component: str, account_name: str, rules: Sequence[Rule]) -> Items:
    """Allowed in all namespaces."""
    name = text("linkerd-", NAMESPACE, f"-{component}")
    return _allowed("ClusterRole", name, component, rules, subjects=[_subject(account_name)])


def in_namespace(name: str, component: str, account_name: str, rules: Sequence[Rule]) -> Items:
    """Allowed in the control plane's namespace."""
    return _allowed("Role", name, component, rules, subjects=[_subject(account_name)])


def _subject(account_name: str) -> Tree:
    return {"kind": "ServiceAccount", "name": account_name, "namespace": NAMESPACE}


def _allowed(
    kind: str, name: Operand, component: str, rules: Sequence[Rule], *, subjects: list[Tree]
) -> Items:
    role: Tree = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": metadata(name, component, cluster_wide=kind == "ClusterRole"),
        "rules": [*rules],
    }
    return Items((role, binding(kind, name, component, subjects=subjects)))


def binding(
    kind: str,
    name: Operand,
    component: str,
    *,
    subjects: Tree,
    to: Operand = None,
    namespace: str = "",
) -> Tree:
    """Who has a role, which is called like this unless something else is said, and is in the control plane's
    namespace unless another one is.
    """
    named = metadata(name, component, cluster_wide=kind == "ClusterRole")
    place: dict[str, Tree] = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": {**named, **place},
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name if to is None else to},
        "subjects": subjects,
    }


_LOOK: Final = ("list", "watch")
FOLLOW_CLUSTER: Final = (
    rule("", ("namespaces", "nodes", "pods", "replicationcontrollers", "services"), _LOOK),
    rule("apps", ("daemonsets", "deployments", "replicasets", "statefulsets"), _LOOK),
    rule("batch", ("cronjobs", "jobs"), _LOOK),
    rule("discovery.k8s.io", ("endpointslices",), _LOOK),
    rule("linkerd.io", ("serviceprofiles",), _LOOK),
    rule("workload.linkerd.io", ("externalworkloads",), _LOOK),
    rule(
        "policy.linkerd.io",
        (
            *(
                "authorizationpolicies",
                "egressnetworks",
                "httplocalratelimitpolicies",
                "httproutes",
            ),
            *(
                "meshtlsauthentications",
                "networkauthentications",
                "serverauthorizations",
                "servers",
            ),
        ),
        _LOOK,
    ),
    rule("policy.linkerd2-py.io", ("externalauthorizations", "jwtauthentications"), _LOOK),
    rule(
        "gateway.networking.k8s.io",
        ("grpcroutes", "httproutes", "tcproutes", "tlsroutes"),
        _LOOK,
    ),
)
"""What a mesh is made of."""
