"""Who gets a proxy, and the reasons of those who do not."""

from __future__ import annotations

from typing import Any

import pytest

from linkerd2_py.controlplane.injector.report import REASONS, Report, report_on
from linkerd2_py.controlplane.injector.workload import read_workload

INJECT = "linkerd.io/inject"
MOUNT = {
    "name": "token",
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
}


def pod(annotation: str = "", **spec: Any) -> dict[str, Any]:
    said = {INJECT: annotation} if annotation else {}
    containers = [{"name": "app", "image": "app"}]
    return {
        "kind": "Pod",
        "metadata": {"name": "web", "annotations": said},
        "spec": {"containers": containers, **spec},
    }


def report(found: Any, namespace: str | None = "enabled", *, projects: bool = True) -> Report:
    said = None if namespace is None else ({INJECT: namespace} if namespace else {})
    return report_on(read_workload(found), namespace=said, projects_token=projects)


@pytest.mark.parametrize(
    ("namespace", "at_pod", "reason", "where"),
    [
        ("enabled", "enabled", "", "namespace"),
        ("enabled", "", "", "namespace"),
        ("ingress", "", "", "namespace"),
        ("enabled", "disabled", "injection_disable_annotation_present", "workload"),
        ("disabled", "enabled", "", "workload"),
        ("disabled", "ingress", "", "workload"),
        ("", "enabled", "", "workload"),
        ("disabled", "disabled", "injection_enable_annotation_absent", ""),
        ("", "disabled", "injection_enable_annotation_absent", ""),
        ("disabled", "", "injection_enable_annotation_absent", ""),
        ("", "", "injection_enable_annotation_absent", ""),
        ("yes", "enabled", "invalid_inject_annotation_at_ns", ""),
        ("enabled", "yes", "invalid_inject_annotation_at_workload", ""),
        # Who asks by hand has no namespace at hand.
        (None, "enabled", "", ""),
        (None, "", "", ""),
    ],
)
def test_annotations_of_namespace_and_pod(
    namespace: str | None, at_pod: str, reason: str, where: str
) -> None:
    found = report(pod(at_pod), namespace)
    assert (",".join(found.reasons), found.annotation_at) == (reason, where)
    assert found.said() == REASONS.get(reason, "")


def test_a_manifest_that_declines_has_no_reason_but_that() -> None:
    found = report(pod("disabled"), None)
    assert found.disabled
    assert not found.is_injectable
    assert found.said() == ""


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"hostNetwork": True}, "host_network_enabled"),
        ({"containers": [{"name": "linkerd-proxy"}]}, "sidecar_already_exists"),
        ({"initContainers": [{"name": "linkerd-proxy"}]}, "sidecar_already_exists"),
        ({"initContainers": [{"name": "linkerd-init"}]}, "sidecar_already_exists"),
        ({"containers": [{"name": "istio-proxy"}]}, "sidecar_already_exists"),
        ({"initContainers": [{"name": "istio-init"}]}, "sidecar_already_exists"),
        (
            {"containers": [{"name": "x", "image": "cr.l5d.io/linkerd/proxy:edge"}]},
            "sidecar_already_exists",
        ),
    ],
)
def test_pods_that_cannot_have_one(spec: dict[str, Any], reason: str) -> None:
    found = report(pod(**spec))
    assert found.reasons == (reason,)
    assert REASONS[reason] in found.faults


def test_datagrams_alone_are_a_warning() -> None:
    ports = [{"containerPort": 53, "protocol": "UDP"}]
    found = report(pod(containers=[{"name": "dns", "ports": ports}]))
    assert found.udp
    assert found.is_injectable


@pytest.mark.parametrize(
    ("spec", "projects", "lacks"),
    [
        ({}, True, False),
        ({"automountServiceAccountToken": False}, True, False),
        ({}, False, True),
        ({"containers": [{"name": "app", "volumeMounts": [MOUNT]}]}, False, False),
        (
            {
                "containers": [{"name": "app", "volumeMounts": [MOUNT]}],
                "automountServiceAccountToken": False,
            },
            False,
            True,
        ),
    ],
)
def test_a_token_is_needed(spec: dict[str, Any], projects: bool, lacks: bool) -> None:
    assert report(pod(**spec), projects=projects).no_token == lacks


@pytest.mark.parametrize(
    ("kind", "group", "has_pods"),
    [
        ("Deployment", "apps/v1", True),
        ("deployment", "", True),
        ("CronJob", "batch/v1beta1", True),
        ("Deployment", "example.org/v1", False),
        ("Service", "serving.knative.dev/v1", False),
        ("ConfigMap", "v1", False),
        ("DeploymentList", "apps/v1", False),
    ],
)
def test_kinds_by_their_group(kind: str, group: str, has_pods: bool) -> None:
    template = {"template": {"spec": {"containers": []}}}
    spec = {"jobTemplate": {"spec": template}} if kind == "CronJob" else template
    found = report({"kind": kind, "apiVersion": group, "spec": spec})
    assert found.unsupported is not has_pods
    assert found.annotatable is has_pods
