"""Cluster DNS: CoreDNS as a Deployment, and the Service that every pod is told of."""

from __future__ import annotations

from typing import Any, Final

from tests.support.cluster.node.settings import DNS_SERVICE, DOMAIN

_ABOUT: Final = {"name": "coredns", "namespace": "kube-system"}
_LABELS: Final = {"k8s-app": "kube-dns"}
_ROLES: Final = "rbac.authorization.k8s.io"
_COREFILE: Final = f"""\
.:53 {{
    errors
    health
    ready
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
      pods insecure
      ttl 5
    }}
    cache 5
}}
"""

Object = dict[str, Any]


def objects(image: str) -> list[Object]:
    """All that a cluster needs to have names."""
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _ABOUT},
        {
            "apiVersion": f"{_ROLES}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                _may_read("", "endpoints", "services", "pods", "namespaces"),
                _may_read("discovery.k8s.io", "endpointslices"),
            ],
        },
        {
            "apiVersion": f"{_ROLES}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": _ROLES, "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "ServiceAccount", **_ABOUT}],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _ABOUT,
            "data": {"Corefile": _COREFILE},
        },
        _deployment(image),
        _service(),
    ]


def _may_read(group: str, *kinds: str) -> Object:
    return {"apiGroups": [group], "resources": list(kinds), "verbs": ["list", "watch"]}


def _deployment(image: str) -> Object:
    container = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [{"containerPort": 53, "name": name, "protocol": kind} for name, kind in _ports()],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_ABOUT, "labels": _LABELS},
        "spec": {
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": pod},
        },
    }


def _service() -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": _LABELS},
        "spec": {
            "clusterIP": DNS_SERVICE,
            "selector": _LABELS,
            "ports": [{"port": 53, "name": name, "protocol": kind} for name, kind in _ports()],
        },
    }


def _ports() -> list[tuple[str, str]]:
    return [("dns", "UDP"), ("dns-tcp", "TCP")]
