"""Is a control plane there, and does it run: `linkerd-existence`."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any, Final

from linkerd2_py.charts.paths import look_up
from linkerd2_py.cli.checks.cluster.asked import Asked, bullets
from linkerd2_py.cli.checks.cluster.pods import Pod, name_of, status_of, statuses
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Check, NotYetError, SkippedError
from linkerd2_py.cli.errors import CliError
from linkerd2_py.controlplane.sources.kubernetes.fields import items, mapping, text, texts

CATEGORY: Final = "linkerd-existence"
COMPONENT: Final = "linkerd.io/control-plane-component"
COMPONENTS: Final = ("destination", "identity", "proxy-injector")
"""Without which nothing is meshed. Others are asked about where their deployments are."""
# Kubernetes' word for a pod that no node takes.
_UNSCHEDULABLE: Final = "Unschedulable"


class Existence:
    """Its configuration and its pods."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._namespace = f"namespaces/{asked.where.control_plane}"

    def checks(self) -> list[Check]:
        return [
            Check(
                CATEGORY,
                "'linkerd-config' config map exists",
                self._config,
                hint=linkerd("l5d-existence-linkerd-config"),
                fatal=True,
            ),
            Check(
                CATEGORY,
                "control plane replica sets are ready",
                self._replica_sets,
                hint=linkerd("l5d-existence-replicasets"),
                fatal=True,
            ),
            Check(
                CATEGORY,
                "no unschedulable pods",
                self._unschedulable,
                hint=linkerd("l5d-existence-unschedulable-pods"),
                warning=True,
            ),
            Check(
                CATEGORY,
                "control plane pods are ready",
                self._pods_ready,
                hint=linkerd("l5d-api-control-ready"),
                fatal=True,
            ),
            Check(
                CATEGORY,
                "cluster networks contains all node podCIDRs",
                self._nodes_inside,
                hint=linkerd("l5d-cluster-networks-cidr"),
            ),
            Check(
                CATEGORY,
                "cluster networks contains all pods",
                self._pods_inside,
                hint=linkerd("l5d-cluster-networks-pods"),
            ),
            Check(
                CATEGORY,
                "cluster networks contains all services",
                self._services_inside,
                hint=linkerd("l5d-cluster-networks-pods"),
            ),
        ]

    def _config(self) -> None:
        _ = self._asked.values

    def _replica_sets(self) -> None:
        found = self._asked.listed(f"/apis/apps/v1/{self._namespace}/replicasets")
        bad = [
            f"{text(one, 'metadata', 'name')}: {text(said, 'reason')}: {text(said, 'message')}"
            for one in found
            for said in items(one, "status", "conditions")
            if said.get("type") == "ReplicaFailure" and said.get("status") == "True"
        ]
        if bad:
            raise NotYetError(f"pods cannot be made:{bullets(bad)}")

    def _unschedulable(self) -> None:
        bad = [
            f"{text(pod, 'metadata', 'name')}: {text(said, 'message')}"
            for pod in self._pods()
            for said in items(pod, "status", "conditions")
            if said.get("reason") == _UNSCHEDULABLE
        ]
        if bad:
            raise NotYetError(f"no node takes:{bullets(bad)}")

    def _pods_ready(self) -> None:
        pods = self._pods()
        for component in self._components():
            of = [pod for pod in pods if _component(pod) == component]
            running = [pod for pod in of if text(pod, "status", "phase") == "Running"]
            if not running:
                raise NotYetError(f'No running pods for "linkerd-{component}"{_states(of)}')
            unready = [_unready(pod) for pod in running]
            # One that is ready answers.
            if all(unready):
                raise NotYetError(f"no pod is ready:{bullets(unready)}")

    def _components(self) -> list[str]:
        found = self._asked.listed(f"/apis/apps/v1/{self._namespace}/deployments", labels=COMPONENT)
        further = {text(one, "metadata", "labels", COMPONENT) for one in found}
        return [*COMPONENTS, *sorted(further - {"", *COMPONENTS})]

    def _pods(self) -> list[Pod]:
        return self._asked.listed(f"/api/v1/{self._namespace}/pods", labels=COMPONENT)

    # ---- networks

    def _nodes_inside(self) -> None:
        nodes = self._asked.listed("/api/v1/nodes")
        cidrs = {
            cidr
            for node in nodes
            for cidr in (texts(node, "spec", "podCIDRs") or (text(node, "spec", "podCIDR"),))
            if cidr
        }
        if not cidrs:
            raise SkippedError
        networks = self._networks()
        bad = sorted(one for one in cidrs if not _contains(networks, ip_network(one, strict=False)))
        if bad:
            raise CliError(f"clusterNetworks do not contain the nodes' {', '.join(bad)}")

    def _pods_inside(self) -> None:
        self._require_inside(
            (name_of(pod), text(pod, "status", "podIP"))
            for pod in self._asked.listed("/api/v1/pods")
            if mapping(pod, "spec").get("hostNetwork") is not True
        )

    def _services_inside(self) -> None:
        self._require_inside(
            (name_of(one), text(one, "spec", "clusterIP"))
            for one in self._asked.listed("/api/v1/services")
        )

    def _require_inside(self, addressed: Iterable[tuple[str, str]]) -> None:
        networks = self._networks()
        bad = [
            f"{name} ({ip})"
            for name, ip in addressed
            if ip not in {"", "None"} and not _contains(networks, ip_network(ip_address(ip)))
        ]
        if bad:
            raise CliError(f"the Linkerd clusterNetworks do not include:{bullets(sorted(bad))}")

    def _networks(self) -> list[Any]:
        said = look_up(self._asked.values, "clusterNetworks")
        if not isinstance(said, str) or not said.strip():
            raise SkippedError
        try:
            return [ip_network(one.strip(), strict=False) for one in said.split(",")]
        except ValueError as error:
            raise CliError(f"clusterNetworks: {error}") from error


def _contains(networks: Iterable[Any], inner: Any) -> bool:
    return any(one.version == inner.version and inner.subnet_of(one) for one in networks)


def _component(pod: Pod) -> str:
    return text(pod, "metadata", "labels", COMPONENT)


def _states(pods: Iterable[Pod]) -> str:
    return bullets(f"{text(pod, 'metadata', 'name')} is {status_of(pod)}" for pod in pods)


def _unready(pod: Pod) -> str:
    """Its containers that are not ready; those that had to end first have."""
    names = [
        text(one, "name")
        for one in statuses(pod)
        if one.get("ready") is not True and not mapping(one, "state", "terminated")
    ]
    name = text(pod, "metadata", "name")
    return f"pod/{name} container {', '.join(names)} is not ready" if names else ""
