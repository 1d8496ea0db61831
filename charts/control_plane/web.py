"""Web: the dashboard. All that it shows it asks of public-api, but for live calls: unless its privileges are
restricted it may watch those of everything, for whoever reaches the page. It may nothing else in the cluster.
"""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.control_plane.access import account, binding
from linkerd2_py.charts.control_plane.named import service
from linkerd2_py.charts.control_plane.pods import (
    Component,
    Container,
    deployment,
    disruption_budget,
)
from linkerd2_py.charts.nodes import (
    NAMESPACE,
    Default,
    Manifest,
    Not,
    Ref,
    When,
    every,
    text,
)
from linkerd2_py.charts.pod.kinds import Meshed

_NAME: Final = "linkerd-web"
_COMPONENT: Final = "web"
_GRAFANA: Final = Ref("grafana.externalUrl")
_WATCHES: Final = every(Ref("tap.enabled"), Not(Ref("dashboard.restrictPrivileges")))
# A page of a stranger's, whose name was made to lead to the dashboard, sends that name.
_HOSTS: Final = Default(
    Ref("dashboard.enforcedHostRegexp"),
    text(
        r"^(localhost|127\.0\.0\.1|linkerd-web\.",
        *(NAMESPACE, r"\.svc\.", Ref("clusterDomain"), r"|linkerd-web\."),
        *(NAMESPACE, r"\.svc|\[::1\])(:\d+)?$"),
    ),
)

WEB_COMPONENT: Final = Component(
    name=_COMPONENT,
    containers=(
        Container(
            name="web",
            arguments=(
                "web",
                "--addr=:8084",
                "--metrics-addr=:9994",
                text(
                    "--public-api-addr=linkerd-public-api.",
                    *(NAMESPACE, ".svc.", Ref("clusterDomain"), ":8085"),
                ),
                text("--controller-namespace=", NAMESPACE),
                text("--enforced-host=", _HOSTS),
                When(_GRAFANA, text("--grafana-external-addr=", _GRAFANA)),
                When(_WATCHES, "--live-calls=true"),
            ),
            ports={"http": 8084, "web-admin": 9994},
            admin=9994,
            probes="dashboard",
            resources="dashboard.resources",
            asks_api_server=_WATCHES,
        ),
    ),
    meshed=Meshed(
        anchors_from_config_map=True,
        inbound_ports="8084,9994",
        default_inbound_policy="all-unauthenticated",
        ignore_outbound_ports=Ref("proxyInit.kubeAPIServerPorts"),
        resources=("dashboard.proxy.resources", "proxy.resources"),
    ),
    pod_annotations="dashboard.podAnnotations",
    replicas=Ref("dashboard.replicas"),
    known={"proxy.waitBeforeExitSeconds": 0},
)

WEB: Final = Manifest(
    "web.yaml",
    (
        account(_NAME, _COMPONENT),
        When(
            _WATCHES,
            binding(
                "ClusterRole",
                text("linkerd-", NAMESPACE, "-web-admin"),
                _COMPONENT,
                subjects=[{"kind": "ServiceAccount", "name": _NAME, "namespace": NAMESPACE}],
                to=text("linkerd-", NAMESPACE, "-tap-admin"),
            ),
        ),
        service(_NAME, _COMPONENT, port=("http", 8084), target=8084),
        disruption_budget(WEB_COMPONENT),
        deployment(WEB_COMPONENT),
    ),
)
