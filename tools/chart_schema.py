"""The schema of a chart's values: types from their defaults, and what a default cannot say from a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from tools.chart_values import described

Schema = dict[str, Any]

_OBJECT: Final[Schema] = {"type": "object"}
_TEXTS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
_OBJECTS: Final[Schema] = {"type": "array", "items": {"type": "object"}}
_PORT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 65535}
_PORTS: Final[Schema] = {
    "type": ["string", "integer"],
    "pattern": "^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$",
    "description": "ports, as 25,587 or 4000-4010",
}
_AMOUNT: Final[Schema] = {
    "type": ["string", "number"],
    "pattern": "^([0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+|[munkMGTPE]|[KMGTPE]i)?)?$",
    "description": "an amount, as 100m or 250Mi",
}
_DURATION: Final[Schema] = {
    "type": "string",
    "pattern": "^([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d))*$",
    "description": "a duration, as 10s or 1h30m",
}
_NETWORKS: Final[Schema] = {
    "type": "string",
    "pattern": "^([0-9a-fA-F.:]+/[0-9]+(,[0-9a-fA-F.:]+/[0-9]+)*)?$",
    "description": "networks, as 10.0.0.0/8,fd00::/8",
}
_IMAGE: Final[Schema] = {
    "type": "string",
    "pattern": "^([A-Za-z0-9][A-Za-z0-9._/:@-]*)?$",
    "description": "the name of an image",
}
_FOLDER: Final[Schema] = {
    "type": "string",
    "pattern": "^/[A-Za-z0-9._/-]+$",
    "description": "a folder of the node, as /etc/cni/net.d",
}
_NAMED: Final[Schema] = {
    "type": "string",
    "pattern": "^([^/]+/[^/]+)?$",
    "description": "NAMESPACE/NAME",
}
_ID: Final[Schema] = {"type": "integer", "minimum": -1}
_NUMBER: Final[Schema] = {"type": "integer", "minimum": 0}


_URL: Final[Schema] = {
    "type": "string",
    "pattern": "^(https?://[^ ?#]+)?$",
    "description": "a URL, as http://prometheus.monitoring:9090",
}
_RULE_MOUNTS: Final[Schema] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "configMap": {"type": "string"},
            "subPath": {"type": "string", "pattern": "^[^/]+_rules\\.ya?ml$"},
        },
        "required": ["name", "configMap", "subPath"],
        "additionalProperties": False,
    },
}


def _words(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


_FORMAT: Final = _words("plain", "json")
_PULL: Final = ("Always", "IfNotPresent", "Never")

SAID: Final[Mapping[str, Schema]] = {
    "clusterDomain": _words("cluster.local"),
    "clusterNetworks": _NETWORKS,
    "imagePullPolicy": _words(*_PULL),
    "imagePullSecrets": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
    "controllerLogFormat": _FORMAT,
    "deploymentStrategy": _OBJECT,
    "podAnnotations": _TEXTS,
    "podLabels": _TEXTS,
    "commonLabels": _TEXTS,
    "nodeSelector": _TEXTS,
    "tolerations": _OBJECTS,
    "nodeAffinity": _OBJECT,
    "controller.podDisruptionBudget.maxUnavailable": {"type": ["integer", "string"]},
    "controllerReplicas": _NUMBER,
    "controllerImage": _IMAGE,
    "controllerGID": _ID,
    "webhookFailurePolicy": _words("Ignore", "Fail"),
    "proxy.image.name": _IMAGE,
    "proxy.image.pullPolicy": _words("", *_PULL),
    "proxy.logFormat": _FORMAT,
    "proxy.logHTTPHeaders": _words("off", "insecure", ""),
    "proxy.accessLog": _words("", "apache", "json"),
    "proxy.tracing.labels": _TEXTS,
    "proxy.ports.admin": _PORT,
    "proxy.ports.control": _PORT,
    "proxy.ports.inbound": _PORT,
    "proxy.ports.outbound": _PORT,
    "proxy.runtime.workers.maximumCPURatio": {"type": ["string", "number"]},
    "proxy.runtime.workers.minimum": {"type": "integer", "minimum": 1},
    "proxy.uid": _NUMBER,
    "proxy.gid": _ID,
    "proxy.securityContext": _OBJECT,
    "proxy.capabilities": _OBJECT,
    "proxy.waitBeforeExitSeconds": _NUMBER,
    "proxy.requireIdentityOnInboundPorts": _PORTS,
    "proxy.requireTLSOnInboundPorts": _PORTS,
    "proxy.opaquePorts": _PORTS,
    "proxy.shutdownGracePeriod": _DURATION,
    "proxy.defaultInboundPolicy": _words(
        *("all-unauthenticated", "all-authenticated", "cluster-unauthenticated"),
        *("cluster-authenticated", "audit", "deny"),
    ),
    "proxy.outboundTransportMode": _words("transport-header", "transparent"),
    "proxy.outboundConnectTimeout": _DURATION,
    "proxy.inboundConnectTimeout": _DURATION,
    "proxy.outboundDiscoveryCacheUnusedTimeout": _DURATION,
    "proxy.inboundDiscoveryCacheUnusedTimeout": _DURATION,
    "proxy.control.streams.initialTimeout": _DURATION,
    "proxy.control.streams.idleTimeout": _DURATION,
    "proxy.control.streams.lifetime": _DURATION,
    "proxy.inbound.server.http2.keepAliveInterval": _DURATION,
    "proxy.inbound.server.http2.keepAliveTimeout": _DURATION,
    "proxy.outbound.server.http2.keepAliveInterval": _DURATION,
    "proxy.outbound.server.http2.keepAliveTimeout": _DURATION,
    "proxy.additionalEnv": {
        "type": "array",
        "items": {"type": "object", "required": ["name"]},
    },
    "proxyInit.iptablesMode": _words("nft", "legacy"),
    "proxyInit.ignoreInboundPorts": _PORTS,
    "proxyInit.ignoreOutboundPorts": _PORTS,
    "proxyInit.kubeAPIServerPorts": _PORTS,
    "proxyInit.skipSubnets": _NETWORKS,
    "proxyInit.logFormat": _words("", "plain", "json"),
    "proxyInit.closeWaitTimeoutSecs": _NUMBER,
    "proxyInit.capabilities": _OBJECT,
    "networkValidator.logFormat": _FORMAT,
    "networkValidator.timeout": _DURATION,
    "networkValidator.securityContext": _OBJECT,
    "debugContainer.image.name": _IMAGE,
    "debugContainer.image.pullPolicy": _words("", *_PULL),
    "identity.issuer.scheme": _words("linkerd.io/tls", "kubernetes.io/tls"),
    "identity.issuer.clockSkewAllowance": _DURATION,
    "identity.issuer.issuanceLifetime": _DURATION,
    "identity.podAnnotations": _TEXTS,
    "destinationController.meshedHttp2ClientProtobuf": _OBJECT,
    "destinationController.podAnnotations": _TEXTS,
    "publicAPI.podAnnotations": _TEXTS,
    "tap.podAnnotations": _TEXTS,
    "dashboard.replicas": _NUMBER,
    "dashboard.podAnnotations": _TEXTS,
    "prometheusUrl": _URL,
    "prometheus.image.name": _IMAGE,
    "prometheus.image.pullPolicy": _words("", *_PULL),
    "prometheus.logLevel": _words("", "debug", "info", "warn", "error"),
    "prometheus.logFormat": _words("", "logfmt", "json"),
    "prometheus.args": {
        "type": "object",
        "additionalProperties": {"type": ["string", "integer", "boolean", "null"]},
    },
    "prometheus.globalConfig": _OBJECT,
    "prometheus.scrapeConfigs": _OBJECTS,
    "prometheus.metricRelabelConfigs": _OBJECTS,
    "prometheus.alertmanagers": _OBJECTS,
    "prometheus.alertRelabelConfigs": _OBJECTS,
    "prometheus.remoteWrite": _OBJECTS,
    "prometheus.ruleConfigMapMounts": _RULE_MOUNTS,
    "prometheus.persistence.size": _AMOUNT,
    "prometheus.podAnnotations": _TEXTS,
    "grafana.externalUrl": _URL,
    "grafana.uidPrefix": {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]{0,20}$",
        "description": "letters, digits, _ and -, at most twenty",
    },
    "policyController.probeNetworks": {"type": "array", "items": {"type": "string"}},
    "proxyInjector.timeoutSeconds": {"type": "integer", "minimum": 1, "maximum": 30},
    "proxyInjector.podAnnotations": _TEXTS,
    "configReaders": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}},
            "required": ["name", "namespace"],
            "additionalProperties": False,
        },
    },
}
"""By path: in the place of what a default says."""
SAID_OF_CNI: Final[Mapping[str, Schema]] = {
    "inboundProxyPort": _PORT,
    "outboundProxyPort": _PORT,
    "proxyAdminPort": _PORT,
    "proxyControlPort": _PORT,
    "adminPort": _PORT,
    "ignoreInboundPorts": _PORTS,
    "ignoreOutboundPorts": _PORTS,
    "portsToRedirect": _PORTS,
    "skipSubnets": _NETWORKS,
    "podLabels": _TEXTS,
    "commonLabels": _TEXTS,
    "logFormat": _FORMAT,
    "proxyUID": _NUMBER,
    "proxyGID": _ID,
    "destCNINetDir": _FOLDER,
    "destCNIBinDir": _FOLDER,
    "iptablesMode": _words("nft", "legacy", "plain"),
    "revisionHistoryLimit": _NUMBER,
    "updateStrategy": _OBJECT,
    "tolerations": _OBJECTS,
    "nodeAffinity": _OBJECT,
    "image.name": _IMAGE,
    "image.pullPolicy": _words(*_PULL),
    "imagePullSecrets": SAID["imagePullSecrets"],
    "extraInitContainers": _OBJECTS,
}
"""The same for the CNI plugin's chart."""
_BY_NAME: Final[Mapping[str, Schema]] = {
    "namespaceSelector": _OBJECT,
    "objectSelector": _OBJECT,
    "injectCaFrom": _NAMED,
    "injectCaFromSecret": _NAMED,
    "limit": _AMOUNT,
    "request": _AMOUNT,
    "timeoutSeconds": {"type": "integer", "minimum": 1},
    "initialDelaySeconds": _NUMBER,
    "periodSeconds": {"type": "integer", "minimum": 1},
    "failureThreshold": {"type": "integer", "minimum": 1},
}
"""By the last word of a path, wherever it stands."""
_TYPES: Final[Mapping[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}


def schema_of(text: str, *, title: str, said: Mapping[str, Schema] = SAID) -> Schema:
    """Of the values in a values.yaml. `said` goes before what defaults say, by path."""
    words = {value.path: value.words for value in described(text)}
    values = yaml.safe_load(text)
    unknown = sorted(path for path in said if path not in set(_paths(values)))
    if unknown:
        raise ValueError(f"no such value: {', '.join(unknown)}")
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": title}
    made = {**head, **_schema("", values, words, said)}
    made["properties"]["global"] = {"type": "object", "description": "Helm's, and not read"}
    return made


def _schema(
    path: str, default: Any, words: Mapping[str, str], said: Mapping[str, Schema]
) -> Schema:
    known = said.get(path) or _BY_NAME.get(path.rpartition(".")[2])
    if known is not None:
        made = dict(known)
    elif isinstance(default, dict):
        below = f"{path}." if path else ""
        made = {
            "type": "object",
            "properties": {
                key: _schema(below + key, one, words, said) for key, one in default.items()
            },
            "required": list(default),
            "additionalProperties": False,
        }
    elif type(default) in _TYPES:
        made = {"type": _TYPES[type(default)]}
    else:
        raise ValueError(f"{path}: say in a table what it is")
    if path in words and "description" not in made:
        made["description"] = words[path]
    return made


def _paths(values: Any, path: str = "") -> Iterator[str]:
    if path:
        yield path
    if isinstance(values, dict):
        for key, one in values.items():
            yield from _paths(one, f"{path}.{key}" if path else key)
