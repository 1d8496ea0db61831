"""What objects of the control plane are called, and how they are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from linkerd2_py.charts.nodes import (
    NAMESPACE,
    Default,
    Extended,
    Operand,
    Ref,
    Tree,
    extended,
    text,
)

TRUST_DOMAIN: Final = Default(Ref("identityTrustDomain"), Ref("clusterDomain"))
CREATED_BY: Final = Default(Ref("cliVersion"), text("linkerd2-py/helm ", Ref("linkerdVersion")))

_COMPONENT: Final = "linkerd.io/control-plane-component"
_CONTROL_PLANE: Final = "linkerd.io/control-plane-ns"


def own_labels(component: str) -> dict[str, Tree]:
    """By which a component's pods are selected."""
    return {_COMPONENT: component, _CONTROL_PLANE: NAMESPACE}


def labels(component: str, others: Mapping[str, Tree] | None = None) -> Extended:
    """Of an object that belongs to a component."""
    return extended({**own_labels(component), **(others or {})}, Ref("commonLabels"))


def metadata(
    name: Operand,
    component: str,
    *,
    annotations: Mapping[str, Tree] | None = None,
    cluster_wide: bool = False,
) -> dict[str, Tree]:
    """Of an object of a component."""
    place: dict[str, Tree] = {} if cluster_wide else {"namespace": NAMESPACE}
    return {
        "name": name,
        **place,
        "labels": labels(component),
        "annotations": {"linkerd.io/created-by": CREATED_BY, **(annotations or {})},
    }


def service(
    name: str,
    component: str,
    *,
    port: tuple[str, int],
    target: int | str,
    headless: bool = False,
    opaque: bool = False,
) -> dict[str, Tree]:
    """By which a component is reached. `opaque`: what is spoken there is none of the proxies' business, as
    the TLS between an API server and a webhook.
    """
    port_name, number = port
    kind: dict[str, Tree] = {"clusterIP": "None"} if headless else {"type": "ClusterIP"}
    annotations = {"config.linkerd.io/opaque-ports": str(number)} if opaque else None
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, component, annotations=annotations),
        "spec": {
            **kind,
            "selector": own_labels(component),
            "ports": [{"name": port_name, "port": number, "targetPort": target}],
        },
    }
