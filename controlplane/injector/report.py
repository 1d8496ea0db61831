"""Whether a workload gets a proxy, and if not, why: in Linkerd's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from linkerd2_py.controlplane.injector import names
from linkerd2_py.controlplane.injector.workload import (
    Workload,
    has_sidecar,
    has_udp,
    service_account_mount,
)

HOST_NETWORK: Final = "host_network_enabled"
SIDECAR: Final = "sidecar_already_exists"
UNSUPPORTED: Final = "unsupported_resource"
NOT_ENABLED: Final = "injection_enable_annotation_absent"
DISABLED: Final = "injection_disable_annotation_present"
INVALID_AT_WORKLOAD: Final = "invalid_inject_annotation_at_workload"
INVALID_AT_NAMESPACE: Final = "invalid_inject_annotation_at_ns"
NO_TOKEN: Final = "disabled_automount_service_account_token_account"  # noqa: S105  # a reason
UDP: Final = "udp_ports_enabled"

REASONS: Final[Mapping[str, str]] = {
    HOST_NETWORK: "hostNetwork is enabled",
    SIDECAR: "pod has a sidecar injected already",
    UNSUPPORTED: "this resource kind is unsupported",
    NOT_ENABLED: "neither the namespace nor the pod have the annotation "
    f'"{names.INJECT}:{names.ENABLED}"',
    DISABLED: f'pod has the annotation "{names.INJECT}:{names.DISABLED}"',
    INVALID_AT_WORKLOAD: f'invalid value for annotation "{names.INJECT}" at workload',
    INVALID_AT_NAMESPACE: f'invalid value for annotation "{names.INJECT}" at namespace',
    NO_TOKEN: 'automountServiceAccountToken set to "false", with '
    'Values.identity.serviceAccountTokenProjection set to "false"',
    UDP: "UDP port(s) configured on pod spec",
}
"""What each means, for people."""

_ENABLING: Final = (names.ENABLED, names.INGRESS)
_VALID: Final = ("", names.DISABLED, *_ENABLING)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found about a workload. `kind` is empty for a document that says none."""

    kind: str
    name: str
    host_network: bool = False
    sidecar: bool = False
    udp: bool = False
    unsupported: bool = False
    disabled: bool = False
    disabled_because: str = ""
    annotation_at: str = ""
    no_token: bool = False
    annotatable: bool = False
    annotated: bool = False
    uninjected: bool = False

    @property
    def resource(self) -> str:
        """Kind and name."""
        return f"{self.kind}/{self.name}"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Keys of `REASONS` why it gets no proxy; empty for a manifest that forbids it."""
        found = (
            (self.host_network, HOST_NETWORK),
            (self.sidecar, SIDECAR),
            (self.unsupported, UNSUPPORTED),
            (self.disabled, self.disabled_because),
            (self.no_token, NO_TOKEN),
        )
        return tuple(reason for holds, reason in found if holds)

    @property
    def is_injectable(self) -> bool:
        """Whether it gets a proxy."""
        return not self.reasons

    @property
    def faults(self) -> tuple[str, ...]:
        """What somebody has to change who asked for a proxy by hand, in words."""
        found = (
            (self.no_token, NO_TOKEN),
            (self.host_network, HOST_NETWORK),
            (self.sidecar, SIDECAR),
            (self.udp, UDP),
        )
        return tuple(REASONS[reason] for holds, reason in found if holds)

    def said(self) -> str:
        """The reasons for people."""
        return ", ".join(filter(None, (REASONS.get(reason) for reason in self.reasons)))

    def as_annotated(self) -> Report:
        """The same of what got annotations."""
        return replace(self, annotated=True)


def report_on(
    workload: Workload, *, namespace: Mapping[str, str] | None, projects_token: bool
) -> Report:
    """By the annotations of its `namespace`; None where a person asks, who may have none at hand."""
    annotatable = workload.path is not None or workload.is_service or workload.is_namespace
    report = Report(workload.kind, workload.name, annotatable=annotatable)
    if workload.path is None:
        return replace(report, unsupported=True)
    disabled, because, where = _disabled(workload.annotations.get(names.INJECT, ""), namespace)
    return replace(
        report,
        disabled=disabled,
        disabled_because=because,
        annotation_at=where,
        host_network=workload.spec["hostNetwork"].is_true(),
        sidecar=has_sidecar(workload.spec),
        udp=has_udp(workload.spec),
        no_token=not projects_token and _lacks_token(workload, is_by_webhook=namespace is not None),
    )


def _lacks_token(workload: Workload, *, is_by_webhook: bool) -> bool:
    automount = workload.spec["automountServiceAccountToken"]
    if automount.is_said and not automount.is_true():
        return True
    # By then Kubernetes has mounted it, if it does at all.
    return is_by_webhook and service_account_mount(workload.spec) is None


def _disabled(at_pod: str, namespace: Mapping[str, str] | None) -> tuple[bool, str, str]:
    """Whether an annotation forbids it, or none allows it; why; and where the annotation is that decides."""
    if namespace is None:
        return at_pod == names.DISABLED, "", ""
    at_namespace = namespace.get(names.INJECT, "")
    if at_namespace not in _VALID:
        return True, INVALID_AT_NAMESPACE, ""
    if at_pod not in _VALID:
        return True, INVALID_AT_WORKLOAD, ""
    if at_namespace in _ENABLING:
        if at_pod == names.DISABLED:
            return True, DISABLED, "workload"
        return False, "", "namespace"
    if at_pod not in _ENABLING:
        return True, NOT_ENABLED, ""
    return False, "", "workload"
