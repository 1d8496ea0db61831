"""Could a control plane be installed by whoever asks: `pre-kubernetes-setup`."""

from __future__ import annotations

from functools import partial
from typing import Final

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.cli.checks.cluster.asked import Asked, bullets
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Check
from linkerd2_py.cli.errors import CliError
from linkerd2_py.controlplane.sources.kubernetes.fields import items, seconds, text

CATEGORY: Final = "pre-kubernetes-setup"
CLUSTER_WIDE: Final = (
    ("namespaces", ""),
    ("clusterroles", "rbac.authorization.k8s.io"),
    ("clusterrolebindings", "rbac.authorization.k8s.io"),
    ("customresourcedefinitions", "apiextensions.k8s.io"),
    ("apiservices", "apiregistration.k8s.io"),
    ("mutatingwebhookconfigurations", "admissionregistration.k8s.io"),
    ("validatingwebhookconfigurations", "admissionregistration.k8s.io"),
)
OF_NAMESPACE: Final = (
    ("ServiceAccounts", ""),
    ("Roles", "rbac.authorization.k8s.io"),
    ("RoleBindings", "rbac.authorization.k8s.io"),
    ("Services", ""),
    ("Deployments", "apps"),
    ("ConfigMaps", ""),
    ("Secrets", ""),
)
# What nodes say of themselves comes every five minutes.
_SKEW_S: Final = 310.0


class Install:
    """Permissions, as the API server reviews them."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def checks(self) -> list[Check]:
        return [
            Check(
                CATEGORY,
                "control plane namespace does not already exist",
                self._namespace,
                hint=linkerd("pre-ns"),
            ),
            Check(
                CATEGORY,
                "can create non-namespaced resources",
                self._cluster_wide,
                hint=linkerd("pre-k8s-cluster-k8s"),
            ),
            *(
                self._may("create", kind, group=group, title=f"can create {kind}")
                for kind, group in OF_NAMESPACE
            ),
            self._may("get", "Secrets", group="", title="can read Secrets"),
            Check(
                CATEGORY,
                "no clock skew detected",
                self._clocks,
                hint=linkerd("pre-k8s-clock-skew"),
                warning=True,
            ),
        ]

    def _may(self, verb: str, kind: str, *, group: str, title: str) -> Check:
        ask = partial(self._review, verb, kind.lower(), group=group)
        return Check(CATEGORY, title, ask, hint=linkerd("pre-k8s"))

    def _review(self, verb: str, resource: str, *, group: str) -> None:
        namespace = self._asked.where.control_plane
        refused = self._asked.may(verb, resource, group=group, namespace=namespace)
        if refused:
            raise CliError(refused)

    def _namespace(self) -> None:
        name = self._asked.where.control_plane
        if self._asked.find(f"/api/v1/namespaces/{name}") is not None:
            raise CliError(f'The "{name}" namespace already exists')

    def _cluster_wide(self) -> None:
        refused = [self._asked.may("create", one, group=group) for one, group in CLUSTER_WIDE]
        if any(refused):
            raise CliError(f"missing permissions:{bullets(filter(None, refused))}")

    def _clocks(self) -> None:
        now = SystemClock().wall()
        skewed = [
            text(node, "metadata", "name")
            for node in self._asked.listed("/api/v1/nodes")
            for one in items(node, "status", "conditions")
            if one.get("type") == "Ready"
            and one.get("status") == "True"
            and abs(now - seconds(text(one, "lastHeartbeatTime"))) > _SKEW_S
        ]
        if skewed:
            raise CliError(f"clock skew detected for node(s): {', '.join(skewed)}")
