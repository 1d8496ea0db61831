"""Objects that pods are made of, or are, as the injector sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from linkerd2_py.controlplane.injector import names
from linkerd2_py.controlplane.policy.admission.fields import Field

Json = dict[str, Any]
_TEMPLATE: Final = ("spec", "template")
_TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "pod": (),
    "deployment": _TEMPLATE,
    "replicationcontroller": _TEMPLATE,
    "replicaset": _TEMPLATE,
    "job": _TEMPLATE,
    "daemonset": _TEMPLATE,
    "statefulset": _TEMPLATE,
    "cronjob": ("spec", "jobTemplate", *_TEMPLATE),
}
"""Where in an object of a kind its pods are described."""
_OURS: Final = re.compile(r"(|v1|apps/.*|batch/.*|extensions/.*)")
"""API groups whose kinds these are: others have a Service or a Job of their own."""
_SIDECARS: Final = ("cr.l5d.io/linkerd/proxy:", "gcr.io/istio-release/proxyv2:")
_INITS: Final = ("cr.l5d.io/linkerd/proxy-init:", "gcr.io/istio-release/proxy_init:")


@dataclass(frozen=True, slots=True)
class Workload:
    """One object of a manifest or an admission request.

    `path` is where its pods are described, in which `pod` has metadata and spec; None where it has none.
    """

    kind: str
    name: str
    namespace: str
    found: Json
    path: tuple[str, ...] | None
    pod: Field

    @property
    def is_service(self) -> bool:
        """Whether it is a Service of Kubernetes' own."""
        return self.kind == "service" and self.is_known

    @property
    def is_namespace(self) -> bool:
        """Whether it is a Namespace."""
        return self.kind == "namespace" and self.is_known

    @property
    def is_known(self) -> bool:
        """Whether its kind is one of Kubernetes' own, by its group."""
        return _OURS.fullmatch(Field(self.found)["apiVersion"].text()) is not None

    @property
    def metadata(self) -> Field:
        """Its own."""
        return Field(self.found)["metadata"]

    @property
    def spec(self) -> Field:
        """What its pods are."""
        return self.pod["spec"]

    @property
    def annotations(self) -> dict[str, str]:
        """Of its pods, or of a service or namespace."""
        return texts((self.metadata if self.path is None else self.pod["metadata"])["annotations"])

    @property
    def labels(self) -> dict[str, str]:
        """Of its pods."""
        return texts(self.pod["metadata"]["labels"])

    @property
    def is_of_control_plane(self) -> bool:
        """Whether its pods are components of a control plane."""
        return self.path is not None and names.CONTROL_PLANE_COMPONENT in self.labels


def read_workload(found: Any, *, kind: str = "") -> Workload:
    """An object, of `kind` where it does not say so itself. RefusedError if it is none."""
    seen = Field({} if found is None else found)
    kind = (seen["kind"].text() or kind).lower()
    metadata = seen["metadata"]
    name = metadata["name"].text()
    if kind == "pod":
        name = name or metadata["generateName"].text()
    workload = Workload(kind, name, metadata["namespace"].text(), seen.mapping(), None, Field(None))
    path = _TEMPLATES.get(kind) if workload.is_known else None
    if path is None:
        return workload
    pod = seen
    for step in path:
        pod = pod[step]
    if not pod["spec"].is_said:
        return workload
    pod["spec"].mapping()
    return Workload(kind, name, workload.namespace, workload.found, path, pod)


def texts(field: Field) -> dict[str, str]:
    """A mapping of texts. RefusedError for one of anything else."""
    if not field.is_said:
        return {}
    return {name: field[name].text() for name in field.mapping()}


def has_sidecar(spec: Field) -> bool:
    """Whether a proxy of a mesh, or what prepares one, is there already."""
    for container in spec["initContainers"]:
        image, name = container["image"].text(), container["name"].text()
        if image.startswith(_INITS) or name in (names.INIT_CONTAINER, "istio-init"):
            return True
    for where in ("initContainers", "containers"):
        for container in spec[where]:
            image, name = container["image"].text(), container["name"].text()
            if image.startswith(_SIDECARS) or name in (names.PROXY_CONTAINER, "istio-proxy"):
                return True
    return False


def has_udp(spec: Field) -> bool:
    """Whether one of its ports is for datagrams, which proxies do not carry."""
    return any(
        port["protocol"].text() == "UDP"
        for container in spec["containers"]
        for port in container["ports"]
    )


def service_account_mount(spec: Field) -> Json | None:
    """Where the first container has the token of its account."""
    for container in spec["containers"]:
        for mount in container["volumeMounts"]:
            if mount["mountPath"].text() == names.SERVICE_ACCOUNT_MOUNT:
                return mount.mapping()
        return None
    return None
