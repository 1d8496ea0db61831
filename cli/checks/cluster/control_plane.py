"""Which control plane it is, and how its own proxies are: `control-plane-version`,
`linkerd-control-plane-proxy`, `linkerd-ha-checks`, `linkerd-extension-checks`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from linkerd2_py import __version__
from linkerd2_py.charts.paths import look_up
from linkerd2_py.cli.checks.cluster.asked import Asked, bullets
from linkerd2_py.cli.checks.cluster.existence import COMPONENTS
from linkerd2_py.cli.checks.cluster.pods import (
    Pod,
    is_meshed,
    require_own_version,
    require_proxies,
)
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Check, NotYetError, SkippedError
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.objects import OF_MESH
from linkerd2_py.controlplane.sources.kubernetes.fields import number, text

VERSION: Final = "control-plane-version"
PROXIES: Final = "linkerd-control-plane-proxy"
HA: Final = "linkerd-ha-checks"
EXTENSIONS: Final = "linkerd-extension-checks"
EXTENSION_LABEL: Final = "linkerd.io/extension"


class ControlPlaneChecks:
    """The control plane as something that is meshed and has a version."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def version(self) -> list[Check]:
        hint = linkerd("l5d-version-control")
        return [
            Check(
                VERSION, "can retrieve the control plane version", self._version, hint, fatal=True
            ),
            Check(
                VERSION,
                "control plane and cli versions match",
                self._same_version,
                hint,
                warning=True,
            ),
        ]

    def proxies(self) -> list[Check]:
        return [
            Check(
                PROXIES,
                "control plane proxies are healthy",
                self._healthy,
                hint=linkerd("l5d-cp-proxy-healthy"),
                fatal=True,
            ),
            Check(
                PROXIES,
                "control plane proxies and cli versions match",
                lambda: require_own_version(self._meshed()),
                hint=linkerd("l5d-cp-proxy-cli-version"),
                warning=True,
            ),
        ]

    def ha(self) -> list[Check]:
        return [
            Check(
                HA,
                "multiple replicas of control plane pods",
                self._replicas,
                hint=linkerd("l5d-control-plane-replicas"),
                warning=True,
            )
        ]

    def extensions(self) -> list[Check]:
        return [
            Check(
                EXTENSIONS,
                "namespace configuration for extensions",
                self._extension_namespaces,
                hint=linkerd("l5d-extension-namespaces"),
                warning=True,
            )
        ]

    def extension_names(self) -> list[str]:
        """Of those that are in the cluster."""
        found = self._asked.listed("/api/v1/namespaces", labels=EXTENSION_LABEL)
        return sorted({text(one, "metadata", "labels", EXTENSION_LABEL) for one in found} - {""})

    def _version(self) -> None:
        self._said_version()

    def _said_version(self) -> str:
        said = look_up(self._asked.values, "linkerdVersion")
        if not isinstance(said, str) or not said:
            raise CliError("its configuration does not say: linkerdVersion is missing")
        return said

    def _same_version(self) -> None:
        said = self._said_version()
        if said != __version__:
            raise CliError(f"control plane running {said} but cli running {__version__}")

    def _healthy(self) -> None:
        require_proxies(self._meshed(), namespace=self._asked.where.control_plane)

    def _meshed(self) -> list[Pod]:
        own = self._asked.where.control_plane
        labels = f"{OF_MESH}={own}"
        found = self._asked.listed(f"/api/v1/namespaces/{own}/pods", labels=labels)
        return list(filter(is_meshed, found))

    def _replicas(self) -> None:
        if look_up(self._asked.values, "highAvailability") is not True:
            raise SkippedError
        path = f"/apis/apps/v1/namespaces/{self._asked.where.control_plane}/deployments"
        few = [
            name
            for name in (f"linkerd-{one}" for one in COMPONENTS)
            if number(self._asked.find(f"{path}/{name}"), "status", "availableReplicas") <= 1
        ]
        if few:
            raise NotYetError(f"not enough replicas available for {', '.join(few)}")

    def _extension_namespaces(self) -> None:
        by_name = defaultdict(list)
        for one in self._asked.listed("/api/v1/namespaces", labels=EXTENSION_LABEL):
            extension = text(one, "metadata", "labels", EXTENSION_LABEL)
            by_name[extension].append(text(one, "metadata", "name"))
        bad = [
            f'label "{EXTENSION_LABEL}={extension}" is on {", ".join(sorted(namespaces))}'
            for extension, namespaces in sorted(by_name.items())
            if len(namespaces) > 1
        ]
        if bad:
            raise CliError(f"more than one namespace is said to be of an extension:{bullets(bad)}")
