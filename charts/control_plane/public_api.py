"""Public-api: what people ask of the mesh. One pod: the samples that it takes of proxies are its own."""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.control_plane.access import FOLLOW_CLUSTER, account, in_cluster
from linkerd2_py.charts.control_plane.named import TRUST_DOMAIN, service
from linkerd2_py.charts.control_plane.pods import (
    Component,
    Container,
    deployment,
    disruption_budget,
)
from linkerd2_py.charts.nodes import NAMESPACE, Choice, Default, Manifest, Ref, When, text
from linkerd2_py.charts.pod.kinds import Meshed

_NAME: Final = "linkerd-public-api"
_COMPONENT: Final = "public-api"
PROMETHEUS: Final = Default(
    Ref("prometheusUrl"),
    Choice(
        Ref("prometheus.enabled"),
        text("http://linkerd-prometheus.", NAMESPACE, ".svc.", Ref("clusterDomain"), ":9090"),
        "",
    ),
)
"""Where samples are asked for: there, or at the one of this chart, or nowhere else than in this pod."""

PUBLIC_API_COMPONENT: Final = Component(
    name=_COMPONENT,
    containers=(
        Container(
            name="public-api",
            arguments=(
                "public-api",
                "--addr=:8085",
                "--metrics-addr=:9995",
                text(
                    "--destination-addr=linkerd-dst-headless.",
                    *(NAMESPACE, ".svc.", Ref("clusterDomain"), ":8086"),
                ),
                text("--controller-namespace=", NAMESPACE),
                text("--identity-trust-domain=", TRUST_DOMAIN),
                When(PROMETHEUS, text("--prometheus-url=", PROMETHEUS)),
            ),
            ports={"http": 8085, "api-admin": 9995},
            admin=9995,
            probes="publicAPI",
            resources="publicAPIResources",
        ),
    ),
    meshed=Meshed(
        anchors_from_config_map=True,
        inbound_ports="8085,9995",
        default_inbound_policy="all-unauthenticated",
        ignore_outbound_ports=Ref("proxyInit.kubeAPIServerPorts"),
        resources=("publicAPIProxyResources", "proxy.resources"),
    ),
    pod_annotations="publicAPI.podAnnotations",
    replicas=1,
    known={"proxy.waitBeforeExitSeconds": 0},
)

PUBLIC_API: Final = Manifest(
    "public-api.yaml",
    (
        account(_NAME, _COMPONENT),
        in_cluster(_COMPONENT, _NAME, FOLLOW_CLUSTER),
        service(_NAME, _COMPONENT, port=("http", 8085), target=8085),
        disruption_budget(PUBLIC_API_COMPONENT),
        deployment(PUBLIC_API_COMPONENT),
    ),
)
