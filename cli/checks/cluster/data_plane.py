"""Are the proxies of workloads well, and is what surrounds them said in the right place:
`linkerd-data-plane`, with `linkerd-opaque-ports-definition`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from linkerd2_py.cli.checks.cluster.asked import Asked, bullets
from linkerd2_py.cli.checks.cluster.pods import (
    Pod,
    containers,
    meshed,
    name_of,
    require_own_version,
    require_proxies,
)
from linkerd2_py.cli.checks.hints import linkerd
from linkerd2_py.cli.checks.run import Check, SkippedError
from linkerd2_py.cli.errors import CliError
from linkerd2_py.controlplane.sources.kubernetes.fields import (
    annotation,
    items,
    labels,
    number,
    ports_of,
    text,
)

CATEGORY: Final = "linkerd-data-plane"
OPAQUE: Final = "linkerd-opaque-ports-definition"
OPAQUE_PORTS: Final = "config.linkerd.io/opaque-ports"
_ONLY_ANNOTATIONS: Final = ("config.linkerd.io/", "config.alpha.linkerd.io/", "linkerd.io/inject")
_ONLY_LABELS: Final = ("mirror.linkerd.io/exported",)
_SERVICE_OF_SLICE: Final = "kubernetes.io/service-name"

Object = dict[str, Any]


class DataPlane:
    """Of one namespace, or of all."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def checks(self) -> list[Check]:
        return [
            Check(
                CATEGORY,
                "data plane namespace exists",
                self._namespace,
                hint=linkerd("l5d-data-plane-exists"),
                fatal=True,
            ),
            Check(
                CATEGORY,
                "data plane proxies are ready",
                lambda: require_proxies(self._meshed(), namespace=self._asked.where.data_plane),
                hint=linkerd("l5d-data-plane-ready"),
                fatal=True,
            ),
            Check(
                CATEGORY,
                "data plane and cli versions match",
                lambda: require_own_version(self._meshed()),
                hint=linkerd("l5d-data-plane-cli-version"),
                warning=True,
            ),
            self._placed("pod", "labels", self._meshed, _is_annotation, should="annotations"),
            self._placed("service", "labels", self._services, _is_annotation, should="annotations"),
            self._placed("service", "annotations", self._services, _is_label, should="labels"),
        ]

    def opaque_ports(self) -> list[Check]:
        return [
            Check(
                OPAQUE,
                "opaque ports are properly annotated",
                self._opaque,
                hint=linkerd("linkerd-opaque-ports-definition"),
                warning=True,
            )
        ]

    def _placed(
        self,
        kind: str,
        field: str,
        found: Callable[[], list[Object]],
        is_wrong: Callable[[str], bool],
        *,
        should: str,
    ) -> Check:
        """That nothing is a label which means something as an annotation only, or the other way round."""

        def ask() -> None:
            bad = [
                f"{name_of(one)}: {', '.join(wrong)}"
                for one in found()
                if (wrong := sorted(filter(is_wrong, labels(one, "metadata", field))))
            ]
            if bad:
                raise CliError(f"Some {field} on {kind}s should be {should}:{bullets(sorted(bad))}")

        section = {"pod": "pod-labels"}.get(kind, f"services-{field}")
        title = f"data plane {kind} {field} are configured correctly"
        return Check(CATEGORY, title, ask, hint=linkerd(f"l5d-data-plane-{section}"), warning=True)

    def _namespace(self) -> None:
        name = self._asked.where.data_plane
        if not name:
            raise SkippedError
        if self._asked.find(f"/api/v1/namespaces/{name}") is None:
            raise CliError(f'The "{name}" namespace does not exist')

    def _opaque(self) -> None:
        pods = {name_of(pod): pod for pod in self._listed("pods")}
        behind = self._behind()
        bad = [
            line
            for service in self._services()
            if text(service, "spec", "clusterIP") != "None"
            for name in sorted(behind[name_of(service)])
            if (pod := pods.get(name))
            for line in misplaced(service, pod)
        ]
        if bad:
            raise CliError(f"pods and services do not say the same:{bullets(bad)}")

    def _behind(self) -> defaultdict[str, set[str]]:
        """The pods of each service."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for one in self._listed("endpointslices", api="/apis/discovery.k8s.io/v1"):
            namespace = text(one, "metadata", "namespace")
            service = text(one, "metadata", "labels", _SERVICE_OF_SLICE)
            found[f"{namespace}/{service}"] |= {
                f"{namespace}/{text(each, 'targetRef', 'name')}"
                for each in items(one, "endpoints")
                if text(each, "targetRef", "kind") == "Pod"
            }
        return found

    def _meshed(self) -> list[Pod]:
        return meshed(self._asked)

    def _services(self) -> list[Object]:
        return self._listed("services")

    def _listed(self, plural: str, *, api: str = "/api/v1") -> list[Object]:
        name = self._asked.where.data_plane
        within = f"/namespaces/{name}" if name else ""
        return self._asked.listed(f"{api}{within}/{plural}")


def _is_annotation(label: str) -> bool:
    return label.startswith(_ONLY_ANNOTATIONS)


def _is_label(found: str) -> bool:
    return found in _ONLY_LABELS


def misplaced(service: Object, pod: Pod) -> Iterator[str]:
    """Where one of them calls a port opaque, and the other does not."""
    of_service, of_pod = _opaque_ports(service), _opaque_ports(pod)
    for port in items(service, "spec", "ports"):
        own = number(port, "port")
        for target in _targets(port, pod):
            if own in of_service and target not in of_pod:
                yield (
                    f"service {name_of(service)} expects target port {target} to be opaque; add it to"
                    f" pod {name_of(pod)} {OPAQUE_PORTS} annotation"
                )
            elif target in of_pod and own not in of_service:
                yield (
                    f"service {name_of(service)} targets the opaque port {target} through {own}; add"
                    f" {own} to its {OPAQUE_PORTS} annotation"
                )


def _opaque_ports(found: Object) -> frozenset[int]:
    return ports_of(annotation(found, OPAQUE_PORTS) or "")


def _targets(port: Object, pod: Pod) -> Iterable[int]:
    """The ports of a pod that a service's leads to, of those that the pod declares."""
    wanted = port.get("targetPort") or port.get("port")
    return {
        number(one, "containerPort")
        for container in containers(pod)
        for one in items(container, "ports")
        if wanted in (number(one, "containerPort"), text(one, "name") or None)
    }
