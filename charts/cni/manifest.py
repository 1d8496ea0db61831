"""The objects of the CNI plugin, as one tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from linkerd2_py.charts.nodes import (
    NAMESPACE,
    Applied,
    Equal,
    Function,
    Items,
    Manifest,
    Not,
    Ref,
    Text,
    Tree,
    When,
    extended,
    text,
)
from linkerd2_py.charts.pod.resources import resources

NAME: Final = "linkerd-cni"
LABELS: Final[Mapping[str, str]] = {"linkerd.io/cni-resource": "true"}
_APP: Final[Mapping[str, str]] = {"k8s-app": NAME}
_CONFIG: Final = "linkerd-cni-config"
_ENTRY: Final = "cni_network_config"
_FOLDER: Final = "/etc/linkerd-cni"
_SOCKETS: Final = "/run/linkerd-cni"
_NET, _BIN = Ref("destCNINetDir"), Ref("destCNIBinDir")
_REPAIRS: Final = Ref("repairController.enabled")
_APART: Final = Not(Equal(_BIN, _NET))
_CAPABILITIES: Final = (
    # To enter the network of a pod, and to write rules there.
    *("SYS_ADMIN", "NET_ADMIN", "NET_RAW"),
    # To replace files of the node as their owners have them.
    *("CHOWN", "DAC_OVERRIDE", "FOWNER"),
)


def _metadata(labels: Mapping[str, str] = LABELS, *, name: str = NAME) -> dict[str, Tree]:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "labels": extended(labels, Ref("commonLabels")),
    }


def _of_cluster() -> dict[str, Tree]:
    return {"name": NAME, "labels": extended(LABELS, Ref("commonLabels"))}


def _json(value: str) -> Applied:
    return Applied(Function.JSON, Ref(value))


def _entry() -> Text:
    """The plugin's entry for lists of plugins. A text of several ports stands for itself in them."""
    return text(
        f'{{"name": "{NAME}", "type": "{NAME}", "log_level": ',
        _json("logLevel"),
        ', "linkerd": {"incoming-proxy-port": ',
        _json("inboundProxyPort"),
        ', "outgoing-proxy-port": ',
        _json("outboundProxyPort"),
        ', "proxy-uid": ',
        _json("proxyUID"),
        ', "proxy-gid": ',
        _json("proxyGID"),
        ', "ports-to-redirect": [',
        _json("portsToRedirect"),
        '], "inbound-ports-to-ignore": [',
        *(_json("proxyControlPort"), ", ", _json("proxyAdminPort"), ", "),
        _json("ignoreInboundPorts"),
        '], "outbound-ports-to-ignore": [',
        _json("ignoreOutboundPorts"),
        '], "subnets-to-ignore": [',
        _json("skipSubnets"),
        '], "use-wait-flag": ',
        _json("useWaitFlag"),
        ', "iptables-mode": ',
        _json("iptablesMode"),
        ', "ipv6": ',
        Applied(Function.JSON, Not(Ref("disableIPv6"))),
        "}}",
    )


def _account() -> dict[str, Tree]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(),
        "imagePullSecrets": When(Ref("imagePullSecrets"), Ref("imagePullSecrets")),
    }


def _rules() -> list[Tree]:
    """Which pod is it, what does its namespace say, where is the API server."""
    repairs = (
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch", "delete"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    )
    return [
        {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["get"]},
        {
            "apiGroups": [""],
            "resources": ["services"],
            "resourceNames": ["kubernetes"],
            "verbs": ["get"],
        },
        When(_REPAIRS, Items(repairs)),
    ]


def _cluster_role() -> dict[str, Tree]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": _of_cluster(),
        "rules": _rules(),
    }


def _role() -> dict[str, Tree]:
    """An agent that ends asks whether another one will come."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": _metadata(),
        "rules": [
            {
                "apiGroups": ["apps"],
                "resources": ["daemonsets"],
                "resourceNames": [NAME],
                "verbs": ["get"],
            }
        ],
    }


def _binding(kind: str, metadata: Mapping[str, Tree]) -> dict[str, Tree]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }


def _config() -> dict[str, Tree]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(name=_CONFIG),
        "data": {"dest_cni_net_dir": _NET, "dest_cni_bin_dir": _BIN, _ENTRY: _entry()},
    }


def _daemon_set() -> dict[str, Tree]:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": _metadata({**_APP, **LABELS}),
        "spec": {
            "revisionHistoryLimit": Ref("revisionHistoryLimit"),
            "selector": {"matchLabels": _APP},
            "updateStrategy": Ref("updateStrategy"),
            "template": {
                "metadata": {
                    "labels": extended({**_APP, **LABELS}, Ref("commonLabels"), Ref("podLabels")),
                    "annotations": {"linkerd.io/inject": "disabled"},
                },
                "spec": _pod(),
            },
        },
    }


def _pod() -> dict[str, Tree]:
    return {
        "serviceAccountName": NAME,
        # It must be there before there is a network for others.
        "hostNetwork": True,
        "dnsPolicy": "Default",
        "priorityClassName": When(Ref("priorityClassName"), Ref("priorityClassName")),
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": When(Ref("nodeAffinity"), {"nodeAffinity": Ref("nodeAffinity")}),
        "tolerations": When(Ref("tolerations"), Ref("tolerations")),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": When(Ref("extraInitContainers"), Ref("extraInitContainers")),
        "containers": [_agent()],
        "volumes": [
            When(_APART, _host("cni-bin-dir", _BIN)),
            _host("cni-net-dir", _NET),
            _host("linkerd-cni-run", _SOCKETS),
            {"name": "linkerd-cni-config", "configMap": {"name": _CONFIG}},
        ],
    }


def _agent() -> dict[str, Tree]:
    return {
        "name": "install-cni",
        "image": text(Ref("image.name"), ":", Ref("image.version")),
        "imagePullPolicy": Ref("image.pullPolicy"),
        "args": [
            "cni",
            *("--namespace", NAMESPACE),
            *("--bin-dir", text("/host", _BIN), "--net-dir", text("/host", _NET)),
            *("--network-config", f"{_FOLDER}/{_ENTRY}"),
            *("--admin-addr", text(":", Ref("adminPort"))),
            *("--log-level", Ref("logLevel"), "--log-format", Ref("logFormat")),
            When(_REPAIRS, "--repair"),
        ],
        "env": [
            _own("LINKERD_CNI_REPAIR_CONTROLLER_NODE_NAME", "spec.nodeName"),
            _own("LINKERD_CNI_REPAIR_CONTROLLER_POD_NAME", "metadata.name"),
            # Its usual place is not to be written to.
            {"name": "XTABLES_LOCKFILE", "value": f"{_SOCKETS}/xtables.lock"},
        ],
        "ports": [{"name": "admin-http", "containerPort": Ref("adminPort")}],
        "livenessProbe": {"httpGet": {"path": "/live", "port": "admin-http"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "admin-http"}},
        "resources": resources("resources"),
        "securityContext": {
            "capabilities": {"add": list(_CAPABILITIES), "drop": ["ALL"]},
            "privileged": Ref("privileged"),
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": False,
            "runAsUser": 0,
        },
        "volumeMounts": [
            When(_APART, {"name": "cni-bin-dir", "mountPath": text("/host", _BIN)}),
            {"name": "cni-net-dir", "mountPath": text("/host", _NET)},
            {"name": "linkerd-cni-run", "mountPath": _SOCKETS},
            {"name": "linkerd-cni-config", "mountPath": _FOLDER, "readOnly": True},
        ],
    }


def _own(name: str, field: str) -> Tree:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}


def _host(name: str, path: Tree) -> Tree:
    return {"name": name, "hostPath": {"path": path, "type": "DirectoryOrCreate"}}


MANIFEST: Final = Manifest(
    "cni-plugin.yaml",
    (
        _account(),
        _cluster_role(),
        _binding("ClusterRole", _of_cluster()),
        _role(),
        _binding("Role", _metadata()),
        _config(),
        _daemon_set(),
    ),
)
"""The chart's only file."""
