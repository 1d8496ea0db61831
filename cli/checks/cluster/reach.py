"""Is the API server there, is it new enough, does it know what a mesh is made of: `kubernetes-api`,
`kubernetes-version`, `gateway-api-crd`, `linkerd-crd`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from linkerd2_py.cli.checks.cluster.asked import Asked
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Check, NotYetError
from linkerd2_py.cli.errors import CliError

KUBERNETES_API: Final = "kubernetes-api"
KUBERNETES_VERSION: Final = "kubernetes-version"
GATEWAY_API: Final = "gateway-api-crd"
CRDS: Final = "linkerd-crd"
KINDS_EXIST: Final = "control plane CustomResourceDefinitions exist"
# The rules of our kinds are written in a language that is final since then.
MINIMUM: Final = (1, 29)
_GATEWAY_KINDS: Final = {"gateway.networking.k8s.io/v1": frozenset({"httproutes", "grpcroutes"})}


class Reach:
    """The cluster itself."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def checks(self) -> list[Check]:
        """After the first, which finds the cluster."""
        return [
            Check(
                KUBERNETES_API,
                "can query the Kubernetes API",
                self._query,
                hint=linkerd("k8s-api"),
                fatal=True,
            ),
            Check(
                KUBERNETES_VERSION,
                "is running the minimum Kubernetes API version",
                self._version,
                hint=linkerd("k8s-version"),
            ),
            Check(
                GATEWAY_API,
                "Gateway API CRDs are installed",
                self._gateway,
                hint="without them, routes of these kinds are not followed",
                warning=True,
            ),
        ]

    def kinds(self, category: str = CRDS) -> Check:
        """Whether it knows ours."""
        return Check(
            category,
            KINDS_EXIST,
            self._own_kinds,
            hint="`linkerd2-py install --crds | kubectl apply --server-side -f -`, of this version",
            fatal=True,
        )

    def _query(self) -> None:
        try:
            self._asked.get("/version")
        except CliError as error:
            raise NotYetError(str(error)) from error

    def _version(self) -> None:
        check_version(str(self._asked.get("/version").get("gitVersion")))

    def _gateway(self) -> None:
        missing = self._missing(_GATEWAY_KINDS)
        if missing:
            raise CliError(f"not served: {', '.join(missing)}")

    def _own_kinds(self) -> None:
        missing = self._missing(own_kinds())
        if missing:
            raise NotYetError(f"not served: {', '.join(missing)}")

    def _missing(self, wanted: Mapping[str, Iterable[str]]) -> list[str]:
        """What is not served of the resources of each group and version."""
        return [
            f"{name}.{version}"
            for version, names in sorted(wanted.items())
            for name in sorted(set(names) - self._served(version))
        ]

    def _served(self, version: str) -> set[str]:
        found = self._asked.find(f"/apis/{version}")
        return {str(one["name"]) for one in found.get("resources", ())} if found else set()


def check_version(said: str) -> None:
    """CliError for a cluster that is too old."""
    found = re.match(r"v?(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < MINIMUM:
        least = ".".join(map(str, MINIMUM))
        raise CliError(f"Kubernetes is on version {said}, but {least} or more recent is needed")


def own_kinds() -> dict[str, set[str]]:
    """The resources of our chart by group and version, as they are served."""
    from linkerd2_py.charts.render import render_crds

    found: dict[str, set[str]] = defaultdict(set)
    for spec in (one["spec"] for one in render_crds()):
        for version in spec["versions"]:
            if version["served"]:
                found[f"{spec['group']}/{version['name']}"].add(str(spec["names"]["plural"]))
    return dict(found)
