"""What is applied to a cluster, as plain objects: the same that Helm makes of the charts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from linkerd2_py.charts.control_plane import MANIFESTS
from linkerd2_py.charts.evaluate import Object, objects, roots

CRDS: Final = Path(__file__).parent / "linkerd2-py-crds" / "templates"
_ORDER: Final = (
    *("Namespace", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "Secret", "ConfigMap"),
    "PersistentVolumeClaim",
    *(
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Service",
        "DaemonSet",
        "Deployment",
    ),
    *("APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
)
"""Whatever needs something comes after it; webhooks come last, when somebody is there to answer."""


def render(values: Mapping[str, Any], *, namespace: str = "linkerd") -> list[Object]:
    """The control plane's objects, in the order in which they are applied. Raises `ValuesError`.

    The values are whole, as `values.values_of` makes them. Helm makes certificates of webhooks that are
    not given; here they must be (`proxyInjector.crtPEM`, `policyValidator.crtPEM`, `tap.crtPEM` with their
    keys), as the issuer's.
    """
    known = roots(values, namespace=namespace)
    made = [one for manifest in MANIFESTS for one in objects(manifest, known)]
    return sorted(made, key=lambda one: _ORDER.index(one["kind"]))


def render_crds() -> list[Object]:
    """The kinds of objects that describe a mesh, which the control plane's objects need."""
    return [yaml.safe_load(path.read_text()) for path in sorted(CRDS.rglob("*.yaml"))]
