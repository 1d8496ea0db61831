"""Who may reach pods of the control plane at the level of packets: everybody, but only what they serve."""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.control_plane.destination import DESTINATION_COMPONENT
from linkerd2_py.charts.control_plane.identity import IDENTITY_COMPONENT
from linkerd2_py.charts.control_plane.named import metadata, own_labels
from linkerd2_py.charts.control_plane.pods import Component
from linkerd2_py.charts.control_plane.prometheus import PROMETHEUS_COMPONENT
from linkerd2_py.charts.control_plane.proxy_injector import INJECTOR_COMPONENT
from linkerd2_py.charts.control_plane.public_api import PUBLIC_API_COMPONENT
from linkerd2_py.charts.control_plane.tap import TAP_COMPONENT
from linkerd2_py.charts.control_plane.web import WEB_COMPONENT
from linkerd2_py.charts.nodes import Manifest, Ref, Tree, When


def _policy(component: Component) -> When:
    own: list[Tree] = [
        {"protocol": "TCP", "port": port}
        for container in component.containers
        for port in container.ports.values()
    ]
    proxys: list[Tree] = [
        {"protocol": "TCP", "port": Ref(f"proxy.ports.{name}")}
        for name in ("inbound", "admin", "control")
    ]
    return When(
        Ref("networkPolicies"),
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(component.workload, component.name),
            "spec": {
                "podSelector": {"matchLabels": own_labels(component.name)},
                "policyTypes": ["Ingress"],
                "ingress": [{"ports": [*own, *proxys]}],
            },
        },
    )


NETWORK_POLICIES: Final = Manifest(
    "network-policies.yaml",
    (
        *(
            _policy(component)
            for component in (
                IDENTITY_COMPONENT,
                DESTINATION_COMPONENT,
                PUBLIC_API_COMPONENT,
                WEB_COMPONENT,
                INJECTOR_COMPONENT,
            )
        ),
        When(Ref("tap.enabled"), _policy(TAP_COMPONENT)),
        When(Ref("prometheus.enabled"), _policy(PROMETHEUS_COMPONENT)),
    ),
)
