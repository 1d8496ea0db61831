"""Proxy-injector: puts proxies into pods that are made."""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.control_plane.access import account, in_cluster, rule
from linkerd2_py.charts.control_plane.named import service
from linkerd2_py.charts.control_plane.pods import (
    Component,
    Container,
    deployment,
    disruption_budget,
)
from linkerd2_py.charts.control_plane.webhooks import asked, certificate, webhook, webhooks
from linkerd2_py.charts.nodes import NAMESPACE, Manifest, Ref, text
from linkerd2_py.charts.pod.kinds import Meshed

_NAME: Final = "linkerd-proxy-injector"
_COMPONENT: Final = "proxy-injector"
_SECRET: Final = "linkerd-proxy-injector-k8s-tls"  # noqa: S105  # its name

INJECTOR_COMPONENT: Final = Component(
    name=_COMPONENT,
    containers=(
        Container(
            name="proxy-injector",
            arguments=(
                "injector",
                "--addr=:8443",
                "--metrics-addr=:9995",
                text("--linkerd-namespace=", NAMESPACE),
            ),
            ports={"proxy-injector": 8443, "injector-admin": 9995},
            admin=9995,
            probes="proxyInjector",
            resources="proxyInjectorResources",
            mounts={
                "/var/run/linkerd/config": "config",
                "/var/run/linkerd/identity/trust-roots": "trust-roots",
                "/var/run/linkerd/tls": "tls",
            },
        ),
    ),
    meshed=Meshed(
        anchors_from_config_map=True,
        inbound_ports="8443,9995",
        default_inbound_policy="all-unauthenticated",
        ignore_outbound_ports=Ref("proxyInit.kubeAPIServerPorts"),
        resources=("proxyInjectorProxyResources", "proxy.resources"),
    ),
    volumes=(
        {"name": "config", "configMap": {"name": "linkerd-config"}},
        {"name": "trust-roots", "configMap": {"name": "linkerd-identity-trust-roots"}},
        {"name": "tls", "secret": {"secretName": _SECRET}},
    ),
    annotations={"config.linkerd.io/opaque-ports": "8443"},
    pod_annotations="proxyInjector.podAnnotations",
    known={"proxy.waitBeforeExitSeconds": 0},
)

INJECTOR: Final = Manifest(
    "proxy-injector.yaml",
    (
        *certificate("proxyInjector", service=_NAME, secret=_SECRET, component=_COMPONENT),
        account(_NAME, _COMPONENT),
        in_cluster(
            _COMPONENT,
            _NAME,
            (
                rule("", ("events",), ("create", "patch")),
                rule("", ("namespaces",), ("get",)),
                # Those that others make: whose a pod is in the end.
                rule("apps", ("replicasets",), ("get",)),
                rule("batch", ("jobs",), ("get",)),
            ),
        ),
        service(
            _NAME, _COMPONENT, port=("proxy-injector", 443), target="proxy-injector", opaque=True
        ),
        disruption_budget(INJECTOR_COMPONENT),
        deployment(INJECTOR_COMPONENT),
        webhooks(
            "MutatingWebhookConfiguration",
            "linkerd-proxy-injector-webhook-config",
            _COMPONENT,
            at="proxyInjector",
            hooks=(
                webhook(
                    "linkerd-proxy-injector.linkerd.io",
                    at="proxyInjector",
                    service=_NAME,
                    namespaceSelector=Ref("proxyInjector.namespaceSelector"),
                    objectSelector=Ref("proxyInjector.objectSelector"),
                    timeoutSeconds=Ref("proxyInjector.timeoutSeconds"),
                    rules=(asked("", ("v1",), ("pods", "services"), "CREATE"),),
                ),
            ),
        ),
    ),
)
