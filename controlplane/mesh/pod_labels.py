"""By which labels metrics and events name a pod."""

from __future__ import annotations

from typing import Final

from linkerd2_py.base.names import (
    LABEL_CONTROL_PLANE_NS,
    LABEL_POD,
    LABEL_SERVICE_ACCOUNT,
    owner_label,
)
from linkerd2_py.controlplane.mesh.objects import Pod

TEMPLATE_HASH: Final = "pod-template-hash"
"""The label that a Deployment gives the pods of one revision."""


def labels_of(pod: Pod) -> dict[str, str]:
    """Those beside the namespace, as Linkerd's destination tells them."""
    labels = {LABEL_POD: pod.name, LABEL_SERVICE_ACCOUNT: pod.service_account}
    if pod.owner:
        labels[owner_label(pod.owner.kind)] = pod.owner.name
    if pod.meshed:
        labels[LABEL_CONTROL_PLANE_NS] = pod.control_plane
    if revision := pod.labels.get(TEMPLATE_HASH):
        labels["pod_template_hash"] = revision
    return labels
