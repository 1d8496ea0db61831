"""The namespace, which Helm makes itself."""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.nodes import NAMESPACE, Choice, Equal, Manifest, Ref, When

NAMESPACE_MANIFEST: Final = Manifest(
    "namespace.yaml",
    (
        When(
            Equal(Ref("Service", of="Release"), "CLI"),
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": NAMESPACE,
                    "annotations": {"linkerd.io/inject": "disabled"},
                    "labels": {
                        "linkerd.io/is-control-plane": "true",
                        "linkerd.io/control-plane-ns": NAMESPACE,
                        "config.linkerd.io/admission-webhooks": "disabled",
                        # Init containers that write rules need NET_ADMIN; the CNI plugin spares them that.
                        "pod-security.kubernetes.io/enforce": Choice(
                            Ref("cniEnabled"), "restricted", "privileged"
                        ),
                    },
                },
            },
        ),
    ),
)
