"""Is the CNI plugin there that redirects pods' traffic without a privileged init container:
`linkerd-cni-plugin`.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from linkerd2_py.charts.paths import look_up
from linkerd2_py.cli.checks.cluster.asked import RBAC, Asked
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Check, NotYetError, SkippedError
from linkerd2_py.cli.errors import CliError
from linkerd2_py.controlplane.sources.kubernetes.fields import number

CATEGORY: Final = "linkerd-cni-plugin"
_NAME: Final = "linkerd-cni"


class Cni:
    """Only where it is used: `enabled` says so where no control plane does yet."""

    def __init__(self, asked: Asked, *, enabled: bool) -> None:
        self._asked = asked
        self._enabled = enabled

    def checks(self) -> list[Check]:
        own = f"namespaces/{self._asked.where.cni}"
        return [
            self._exists("ConfigMap", f"/api/v1/{own}/configmaps/{_NAME}-config", "cm"),
            self._exists("ClusterRole", f"{RBAC}/clusterroles/{_NAME}", "cr"),
            self._exists("ClusterRoleBinding", f"{RBAC}/clusterrolebindings/{_NAME}", "crb"),
            self._exists("ServiceAccount", f"/api/v1/{own}/serviceaccounts/{_NAME}", "sa"),
            self._exists("DaemonSet", self._daemon_set, "ds"),
            Check(
                CATEGORY,
                "cni plugin pod is running on all nodes",
                self._runs,
                hint=linkerd("cni-plugin-ready"),
                fatal=True,
            ),
        ]

    @property
    def _daemon_set(self) -> str:
        return f"/apis/apps/v1/namespaces/{self._asked.where.cni}/daemonsets/{_NAME}"

    def _exists(self, kind: str, path: str, section: str) -> Check:
        return Check(
            CATEGORY,
            f"cni plugin {kind} exists",
            partial(self._require, kind, path),
            hint=linkerd(f"cni-plugin-{section}-exists"),
            fatal=True,
        )

    def _require(self, kind: str, path: str) -> None:
        self._skip_unless_used()
        if self._asked.find(path) is None:
            where = f" in the namespace {self._asked.where.cni!r}" if "/namespaces/" in path else ""
            raise CliError(f"missing {kind}: {path.rpartition('/')[2]}{where}")

    def _runs(self) -> None:
        self._skip_unless_used()
        found = self._asked.get(self._daemon_set, what=f"DaemonSet {_NAME}")
        wanted = number(found, "status", "desiredNumberScheduled")
        ready = number(found, "status", "numberReady")
        if ready != wanted:
            raise NotYetError(f"number ready: {ready}, number scheduled: {wanted}")

    def _skip_unless_used(self) -> None:
        if not self._enabled and look_up(self._asked.values, "cniEnabled") is not True:
            raise SkippedError
