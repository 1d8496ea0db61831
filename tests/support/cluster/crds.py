"""Kinds of objects that a cluster of tests knows beyond those of Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import linkerd2_py.charts
from tests.support.cluster.kubectl import Kubectl

LINKERD: Final = Path(linkerd2_py.charts.__file__).parent / "linkerd2-py-crds" / "templates"
_GATEWAY: Final = "gateway.networking.k8s.io"
# Those of Gateway API that routes are made of, with the version of each that is stored.
_GATEWAY_KINDS: Final = {
    "HTTPRoute": ("v1", "v1beta1"),
    "GRPCRoute": ("v1",),
    "TLSRoute": ("v1", "v1alpha2"),
    "TCPRoute": ("v1alpha2",),
}


def install_crds(kubectl: Kubectl) -> None:
    """Ours from the chart, and stand-ins for Gateway API's, which belong to others: any field is taken there.
    May be repeated.
    """
    kubectl("apply", "--server-side", "--recursive", f"--filename={LINKERD}")
    kubectl.apply(*(_any_fields(kind, versions) for kind, versions in _GATEWAY_KINDS.items()))
    kubectl("wait", "--for=condition=Established", "--all", "--timeout=60s", "crds")


def _any_fields(kind: str, versions: tuple[str, ...]) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{_GATEWAY}",
            # Nobody may make kinds of this group without saying that it was talked about.
            "annotations": {"api-approved.kubernetes.io": "unapproved, only for tests"},
        },
        "spec": {
            "group": _GATEWAY,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[0],
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
                for version in versions
            ],
        },
    }
