"""Are the objects of a control plane there: `linkerd-config`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from linkerd2_py.charts.paths import look_up
from linkerd2_py.cli.checks.cluster.asked import ADMISSION, RBAC, Asked
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Check
from linkerd2_py.cli.errors import CliError
from linkerd2_py.controlplane.sources.kubernetes.fields import text

CATEGORY: Final = "linkerd-config"
INJECTOR_CONFIG: Final = "linkerd-proxy-injector-webhook-config"
POLICY_CONFIG: Final = "linkerd-policy-validator-webhook-config"
_ACCOUNTS: Final = ("linkerd-destination", "linkerd-identity", "linkerd-proxy-injector")


class Config:
    """Objects by name."""

    def __init__(self, asked: Asked, *, kinds: Check) -> None:
        self._asked = asked
        self._kinds = kinds

    def checks(self) -> list[Check]:
        namespace = self._asked.where.control_plane
        roles = (f"linkerd-{namespace}-identity", f"linkerd-{namespace}-proxy-injector")
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        return [
            Check(
                CATEGORY,
                "control plane Namespace exists",
                self._namespace,
                hint=linkerd("l5d-existence-ns"),
                fatal=True,
            ),
            self._exist("ClusterRoles", f"{RBAC}/clusterroles", roles, "cr"),
            self._exist("ClusterRoleBindings", f"{RBAC}/clusterrolebindings", roles, "crb"),
            self._exist("ServiceAccounts", accounts, _ACCOUNTS, "sa"),
            self._kinds,
            self._exist(
                "MutatingWebhookConfigurations",
                f"{ADMISSION}/mutatingwebhookconfigurations",
                (INJECTOR_CONFIG,),
                "mwc",
            ),
            self._exist(
                "ValidatingWebhookConfigurations",
                f"{ADMISSION}/validatingwebhookconfigurations",
                (POLICY_CONFIG,),
                "vwc",
            ),
            Check(
                CATEGORY,
                "proxy-init container runs as root user if docker container runtime is used",
                self._runtime,
                hint=linkerd("l5d-proxy-init-run-as-root"),
            ),
        ]

    def _exist(self, kind: str, path: str, names: Sequence[str], section: str) -> Check:
        return Check(
            CATEGORY,
            f"control plane {kind} exist",
            partial(self._require, kind, path, names),
            hint=linkerd(f"l5d-existence-{section}"),
            fatal=True,
        )

    def _namespace(self) -> None:
        name = self._asked.where.control_plane
        if self._asked.find(f"/api/v1/namespaces/{name}") is None:
            raise CliError(f'The "{name}" namespace does not exist')

    def _require(self, kind: str, path: str, names: Sequence[str]) -> None:
        missing = [name for name in names if self._asked.find(f"{path}/{name}") is None]
        if missing:
            raise CliError(f"missing {kind}: {', '.join(missing)}")

    def _runtime(self) -> None:
        values = self._asked.values
        if look_up(values, "cniEnabled") is True or look_up(values, "proxyInit.runAsRoot") is True:
            return
        docker = [
            text(node, "metadata", "name")
            for node in self._asked.listed("/api/v1/nodes")
            if text(node, "status", "nodeInfo", "containerRuntimeVersion").startswith("docker:")
        ]
        if docker:
            raise CliError(
                f"there are nodes with the docker container runtime ({', '.join(docker)}): install"
                " with --set proxyInit.runAsRoot=true"
            )
