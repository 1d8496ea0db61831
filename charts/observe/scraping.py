"""Which targets a Prometheus scrapes, and what their series are called: Linkerd's jobs and relabeling.

Discovery says of a pod what Kubernetes' own discovery says, in labels that begin with `__meta_kubernetes_`.
In a cluster it does; of a local mesh the control plane writes such labels into files. So one set of rules
holds for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

CONTROLLER_JOB: Final = "linkerd-controller"
PROXY_JOB: Final = "linkerd-proxy"
META: Final = "__meta_kubernetes_"

Rule = dict[str, Any]
Config = dict[str, Any]

_POD_LABEL: Final = f"{META}pod_label_"
_OUR_OWN: Final = "|".join(
    (
        *("authority", "backend_.*", "classification", "client_id", "direction", "dst", "dst_.*", "error.*"),
        *("authz_.*", "grpc_status", "instance", "job", "k8s_job", "le", "method", "namespace"),
        "no_tls_reason",
        *("parent_.*", "peer", "pod", "quantile", "result", "route_.*", "rt_route", "server_id", "srv_.*"),
        *("status_code", "target_.*", "tls", "__.*"),
    )
)  # fmt: skip
"""Labels of proxies' series. A pod that has one of them as a label of its own would hide it."""


def jobs(
    *,
    control_plane: str,
    proxies: Sequence[Mapping[str, Any]],
    controllers: Sequence[Mapping[str, Any]],
    discovery: str,
) -> list[Config]:
    """The scrape jobs of a mesh whose control plane is in a namespace. `discovery` is how targets are found,
    such as `kubernetes_sd_configs`, the other two are what it is told.
    """
    return [
        {
            "job_name": CONTROLLER_JOB,
            discovery: [dict(one) for one in controllers],
            "relabel_configs": _of_controllers(),
        },
        {
            "job_name": PROXY_JOB,
            discovery: [dict(one) for one in proxies],
            "relabel_configs": of_proxies(control_plane),
            "metric_relabel_configs": of_series(),
        },
    ]


def _of_controllers() -> list[Rule]:
    port = [f"{META}pod_container_port_name"]
    return [
        {"source_labels": port, "action": "keep", "regex": ".*admin$"},
        {"source_labels": port, "action": "drop", "regex": "linkerd-admin"},
        {"source_labels": [f"{META}namespace"], "target_label": "namespace"},
        {"source_labels": [f"{META}pod_name"], "target_label": "pod"},
        {"source_labels": [f"{META}pod_container_name"], "target_label": "component"},
    ]


def of_proxies(control_plane: str) -> list[Rule]:
    """Who of the pods is scraped, and what its series are labelled with: where the pod is, who owns it, and
    its own labels.
    """
    what = [
        f"{META}pod_container_name",
        f"{META}pod_container_port_name",
        f"{_POD_LABEL}linkerd_io_control_plane_ns",
    ]
    wanted = f"^linkerd-proxy;linkerd-admin;{control_plane}$"
    linkerds = "linkerd_io_"
    return [
        {
            "source_labels": [f"{META}pod_phase"],
            "action": "keep",
            "regex": "(Pending|Running)",
        },
        {"source_labels": what, "action": "keep", "regex": wanted},
        {"source_labels": [f"{META}namespace"], "target_label": "namespace"},
        {"source_labels": [f"{META}pod_name"], "target_label": "pod"},
        # Prometheus has a meaning of its own for `job`.
        {"source_labels": [f"{_POD_LABEL}{linkerds}proxy_job"], "target_label": "k8s_job"},
        {"action": "labeldrop", "regex": f"{_POD_LABEL}{linkerds}proxy_job"},
        # Who owns the pod.
        {"action": "labelmap", "regex": f"{_POD_LABEL}{linkerds}proxy_(.+)"},
        {"action": "labeldrop", "regex": f"{_POD_LABEL}{linkerds}proxy_(.+)"},
        {"action": "labelmap", "regex": f"{_POD_LABEL}{linkerds}(.+)"},
        {"action": "labeldrop", "regex": f"{_POD_LABEL}{linkerds}(.+)"},
        # Its own labels, which do not replace what proxies say: this Linkerd does not look after.
        {"action": "labeldrop", "regex": f"{_POD_LABEL}({_OUR_OWN}|{_OWNERS})"},
        {"action": "labelmap", "regex": f"{_POD_LABEL}(.+)"},
    ]


_OWNERS: Final = "cronjob|daemonset|deployment|replicaset|replicationcontroller|statefulset"


def of_series() -> list[Rule]:
    """Proxies of one mesh may differ in whether an authority has the port 80."""
    host = r"([^:\[\]]+|\[[^\]]*\])"
    return [
        {
            "source_labels": ["authority"],
            "regex": host,
            "target_label": "authority",
            "replacement": "$1:80",
        }
    ]


def meta_labels(
    *,
    namespace: str,
    pod: str,
    container: str,
    port_name: str,
    labels: Mapping[str, str],
) -> dict[str, str]:
    """What discovery in Kubernetes says of a running pod's port."""
    return {
        f"{META}namespace": namespace,
        f"{META}pod_name": pod,
        f"{META}pod_phase": "Running",
        f"{META}pod_container_name": container,
        f"{META}pod_container_port_name": port_name,
        **{f"{_POD_LABEL}{_sanitized(name)}": value for name, value in labels.items()},
    }


def _sanitized(name: str) -> str:
    """As Prometheus writes the name of a pod's label."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
