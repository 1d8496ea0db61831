"""The checks of a cluster: is its API server there, is it new enough, does it know what a mesh is made of."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from linkerd2_py.cli.checks.run import Check, NotYetError, WarnedError
from linkerd2_py.cli.cluster import Cluster
from linkerd2_py.cli.errors import CliError

KUBERNETES_API: Final = "kubernetes-api"
KUBERNETES_VERSION: Final = "kubernetes-version"
GATEWAY_API: Final = "gateway-api-crd"
CONFIG: Final = "linkerd-config"
# The rules of our kinds are written in a language that is final since then.
MINIMUM: Final = (1, 29)
_TIMEOUT_S: Final = 10.0
_GATEWAY_KINDS: Final = {"gateway.networking.k8s.io/v1": frozenset({"httproutes", "grpcroutes"})}


class ClusterChecks:
    """Of the cluster that `cluster` gives; the first check must have found it."""

    def __init__(self, cluster: Callable[[], Cluster], *, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def all(self) -> list[Check]:
        """In Linkerd's order."""
        namespace = Check(
            CONFIG,
            "control plane Namespace exists",
            self._has_namespace,
            hint="-L, or $LINKERD_NAMESPACE, says in which namespace the control plane is",
        )
        return [*self._reach(), namespace, self._kinds()]

    def of_kinds(self) -> list[Check]:
        """Whether what a mesh is described by is known there."""
        return [*self._reach(), self._kinds()]

    def _reach(self) -> list[Check]:
        return [
            Check(
                KUBERNETES_API,
                "can query the Kubernetes API",
                self._query,
                hint="see `kubectl cluster-info`",
                fatal=True,
            ),
            Check(
                KUBERNETES_VERSION, "is running the minimum Kubernetes API version", self._version
            ),
            Check(
                GATEWAY_API,
                "Gateway API CRDs are installed",
                self._gateway,
                hint="without them, routes of these kinds are not followed",
            ),
        ]

    def _kinds(self) -> Check:
        return Check(
            CONFIG,
            "control plane CustomResourceDefinitions exist",
            self._own_kinds,
            hint="install the chart linkerd2-py-crds, of the version of this command",
        )

    def _query(self) -> None:
        try:
            self._get("/version")
        except CliError as error:
            raise NotYetError(str(error)) from error

    def _version(self) -> None:
        said = str(self._get("/version").get("gitVersion"))
        found = re.match(r"v?(\d+)\.(\d+)", said)
        if found is None or (int(found[1]), int(found[2])) < MINIMUM:
            least = ".".join(map(str, MINIMUM))
            raise CliError(f"Kubernetes is on version {said}, but {least} or more recent is needed")

    def _gateway(self) -> None:
        missing = self._missing(_GATEWAY_KINDS)
        if missing:
            raise WarnedError(f"not served: {', '.join(missing)}")

    def _has_namespace(self) -> None:
        if self._ask(f"/api/v1/namespaces/{self._namespace}") is None:
            raise CliError(f'The "{self._namespace}" namespace does not exist')

    def _own_kinds(self) -> None:
        missing = self._missing(own_kinds())
        if missing:
            raise CliError(f"not served: {', '.join(missing)}")

    def _missing(self, wanted: Mapping[str, Iterable[str]]) -> list[str]:
        """What is not served of the resources of each group and version."""
        return [
            f"{name}.{version}"
            for version, names in sorted(wanted.items())
            for name in sorted(set(names) - self._served(version))
        ]

    def _served(self, version: str) -> set[str]:
        found = self._ask(f"/apis/{version}")
        return {str(one["name"]) for one in found.get("resources", ())} if found else set()

    def _get(self, path: str) -> Mapping[str, Any]:
        found = self._ask(path)
        if found is None:
            raise CliError(f"there is no {path.rpartition('/')[2]}")
        return found

    def _ask(self, path: str) -> Mapping[str, Any] | None:
        """None where there is no such thing."""
        from linkerd2_py.controlplane.kubernetes_api import ApiError

        try:
            return self._cluster().get(path, {}, timeout_s=_TIMEOUT_S)
        except ApiError as error:
            if error.status == 404:
                return None
            raise CliError(f"{self._cluster().address}: {error}") from error


def own_kinds() -> dict[str, set[str]]:
    """The resources of our chart by group and version, as they are served."""
    import yaml

    from linkerd2_py import charts

    found: dict[str, set[str]] = defaultdict(set)
    for path in (Path(charts.__file__).parent / "linkerd2-py-crds" / "templates").rglob("*.yaml"):
        spec = yaml.safe_load(path.read_text())["spec"]
        for version in spec["versions"]:
            if version["served"]:
                found[f"{spec['group']}/{version['name']}"].add(str(spec["names"]["plural"]))
    return dict(found)
