"""Tap: what passes through proxies, as an API of the cluster that its own rules guard."""

from __future__ import annotations

from typing import Final

from linkerd2_py.charts.control_plane.access import (
    FOLLOW_CLUSTER,
    account,
    binding,
    in_cluster,
    rule,
)
from linkerd2_py.charts.control_plane.named import TRUST_DOMAIN, metadata, service
from linkerd2_py.charts.control_plane.pods import (
    Component,
    Container,
    deployment,
    disruption_budget,
)
from linkerd2_py.charts.control_plane.webhooks import bundle, certificate, injected
from linkerd2_py.charts.nodes import NAMESPACE, Items, Manifest, Not, Ref, Tree, When, text
from linkerd2_py.charts.pod.kinds import Meshed

_NAME: Final = "linkerd-tap"
_COMPONENT: Final = "tap"
_SECRET: Final = "linkerd-tap-k8s-tls"  # noqa: S105  # its name
_ENABLED: Final = Ref("tap.enabled")
_SUBJECT: Final[Tree] = {"kind": "ServiceAccount", "name": _NAME, "namespace": NAMESPACE}
_VERSION: Final = "v1alpha1"
_GROUP: Final = "tap.linkerd.io"
_WATCHED: Final = (
    *("cronjobs", "daemonsets", "deployments", "jobs", "namespaces", "pods", "replicasets"),
    *("replicationcontrollers", "statefulsets"),
)
"""Whose traffic can be watched; of a whole namespace an API server calls the resource `tap`."""

TAP_COMPONENT: Final = Component(
    name=_COMPONENT,
    containers=(
        Container(
            name="tap",
            arguments=(
                "tap",
                "--apiserver-addr=:8089",
                "--metrics-addr=:9998",
                text("--api-namespace=", NAMESPACE),
                text("--identity-trust-domain=", TRUST_DOMAIN),
            ),
            ports={"apiserver": 8089, "tap-admin": 9998},
            admin=9998,
            probes="tap",
            resources="tapResources",
            mounts={"/var/run/linkerd/tls": "tls"},
        ),
    ),
    meshed=Meshed(
        anchors_from_config_map=True,
        inbound_ports="8089,9998",
        default_inbound_policy="all-unauthenticated",
        ignore_outbound_ports=Ref("proxyInit.kubeAPIServerPorts"),
        resources=("tapProxyResources", "proxy.resources"),
    ),
    volumes=({"name": "tls", "secret": {"secretName": _SECRET}},),
    annotations={"config.linkerd.io/opaque-ports": "8089"},
    pod_annotations="tap.podAnnotations",
    known={"proxy.waitBeforeExitSeconds": 0},
)


def _admin() -> Tree:
    """For people: whoever has it watches everything. Roles for less name resources or namespaces."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": metadata(
            text("linkerd-", NAMESPACE, "-tap-admin"), _COMPONENT, cluster_wide=True
        ),
        "rules": [
            rule("", ("namespaces",), ("list",)),
            rule(_GROUP, (*_WATCHED, *(f"{one}/tap" for one in _WATCHED), "tap"), ("watch",)),
        ],
    }


def _auth_reader() -> Tree:
    """Who passes requests on is said in a ConfigMap of the cluster's own."""
    return binding(
        "Role",
        text("linkerd-", NAMESPACE, "-tap-auth-reader"),
        _COMPONENT,
        subjects=[_SUBJECT],
        to="extension-apiserver-authentication-reader",
        namespace="kube-system",
    )


def _api_service() -> Tree:
    manager = "cert-manager.io/inject-ca-from"
    by_manager, by_secret = Ref("tap.injectCaFrom"), Ref("tap.injectCaFromSecret")
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": metadata(
            f"{_VERSION}.{_GROUP}",
            _COMPONENT,
            cluster_wide=True,
            annotations={
                manager: When(by_manager, by_manager),
                f"{manager}-secret": When(by_secret, by_secret),
            },
        ),
        "spec": {
            "group": _GROUP,
            "version": _VERSION,
            "groupPriorityMinimum": 1000,
            "versionPriority": 100,
            "service": {"name": _NAME, "namespace": NAMESPACE},
            "caBundle": When(Not(injected("tap")), bundle()),
        },
    }


TAP: Final = Manifest(
    "tap.yaml",
    (
        *certificate("tap", service=_NAME, secret=_SECRET, component=_COMPONENT, only=_ENABLED),
        When(
            _ENABLED,
            Items(
                (
                    account(_NAME, _COMPONENT),
                    in_cluster(_COMPONENT, _NAME, FOLLOW_CLUSTER),
                    _admin(),
                    binding(
                        "ClusterRole",
                        text("linkerd-", NAMESPACE, "-tap-auth-delegator"),
                        _COMPONENT,
                        subjects=[_SUBJECT],
                        to="system:auth-delegator",
                    ),
                    _auth_reader(),
                    service(
                        _NAME, _COMPONENT, port=("apiserver", 443), target="apiserver", opaque=True
                    ),
                    disruption_budget(TAP_COMPONENT),
                    deployment(TAP_COMPONENT),
                    _api_service(),
                )
            ),
        ),
    ),
)
