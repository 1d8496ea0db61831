"""Prometheus: samples of all proxies and of the control plane, for as long as it keeps them. Not installed
unless asked for: public-api then has samples of its own.

The image is Prometheus' own. It scrapes through the proxy beside it, by mutual TLS.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from linkerd2_py.charts.control_plane.access import account, in_cluster, rule
from linkerd2_py.charts.control_plane.named import metadata, service
from linkerd2_py.charts.control_plane.pods import (
    Component,
    Container,
    OtherProgram,
    deployment,
)
from linkerd2_py.charts.nodes import (
    NAMESPACE,
    Applied,
    Choice,
    Default,
    Each,
    Expression,
    Function,
    Items,
    Manifest,
    Operand,
    Pairs,
    Ref,
    Text,
    Tree,
    When,
    text,
)
from linkerd2_py.charts.observe.rules import groups
from linkerd2_py.charts.observe.scraping import jobs
from linkerd2_py.charts.pod.kinds import Meshed

_NAME: Final = "linkerd-prometheus"
_COMPONENT: Final = "prometheus"
_PORT: Final = 9090
_UID: Final = 65534
_CONFIG: Final = "prometheus-config"
_RULES: Final = "linkerd_rules.yml"
_FOLDER: Final = "/etc/prometheus"
_SIZE: Final = Ref("prometheus.persistence.size")
# Stands for what is not known before the chart is installed.
_WHERE: Final = "@namespace@"


def _configuration() -> Text:
    """Static words around what values say, which is written as JSON: YAML, too."""
    pods: list[dict[str, Any]] = [{"role": "pod"}]
    own: list[dict[str, Any]] = [{"role": "pod", "namespaces": {"names": [_WHERE]}}]
    scraped = [
        {"job_name": "prometheus", "static_configs": [{"targets": [f"localhost:{_PORT}"]}]},
        *jobs(
            control_plane=_WHERE,
            discovery="kubernetes_sd_configs",
            proxies=pods,
            controllers=own,
        ),
    ]
    # What relabels series stands in the values, and comes last.
    del scraped[-1]["metric_relabel_configs"]
    return text(
        *("global: ", _json("globalConfig")),
        f"\nrule_files:\n- {_FOLDER}/*_rules.yml\n- {_FOLDER}/*_rules.yaml\n",
        Choice(Ref("prometheus.scrapeConfigs"), f"scrape_config_files: [{_FOLDER}/more.yml]\n", ""),
        "scrape_configs:\n",
        *_spliced(yaml.safe_dump(scraped, sort_keys=False, width=200)),
        *("  metric_relabel_configs: ", _json("metricRelabelConfigs")),
        *("\nalerting:\n  alert_relabel_configs: ", _json("alertRelabelConfigs")),
        *("\n  alertmanagers: ", _json("alertmanagers")),
        *("\nremote_write: ", _json("remoteWrite"), "\n"),
    )


def _json(name: str) -> Expression:
    return Applied(Function.JSON, Ref(f"prometheus.{name}"))


def _spliced(written: str) -> list[Operand]:
    first, *others = written.split(_WHERE)
    parts: list[Operand] = [first]
    for other in others:
        parts += [NAMESPACE, other]
    return parts


def _file(name: str) -> dict[str, Tree]:
    """One by one, for rules of others lie beside them."""
    path = f"{_FOLDER}/{name}"
    return {"name": "config", "mountPath": path, "subPath": name, "readOnly": True}


_MOUNTS: Final[tuple[Tree, ...]] = (
    _file("prometheus.yml"),
    _file(_RULES),
    When(Ref("prometheus.scrapeConfigs"), _file("more.yml")),
    Each(
        "mount",
        Ref("prometheus.ruleConfigMapMounts"),
        {
            "name": Ref("name", of="mount"),
            "mountPath": text(f"{_FOLDER}/", Ref("subPath", of="mount")),
            "subPath": Ref("subPath", of="mount"),
            "readOnly": True,
        },
    ),
    {"name": "data", "mountPath": "/data"},
)

PROMETHEUS_COMPONENT: Final = Component(
    name=_COMPONENT,
    containers=(
        Container(
            name="prometheus",
            arguments=(
                text(
                    "--log.level=", Default(Ref("prometheus.logLevel"), Ref("controllerLogLevel"))
                ),
                text("--log.format=", Default(Ref("prometheus.logFormat"), "logfmt")),
                Pairs(
                    "flag",
                    Ref("prometheus.args"),
                    text(
                        *("--", Ref("", of="flagKey")),
                        Choice(Ref("", of="flagValue"), "=", ""),
                        Default(Ref("", of="flagValue"), ""),
                    ),
                ),
            ),
            ports={"admin": _PORT},
            admin=_PORT,
            probes="prometheus",
            resources="prometheus.resources",
            other=OtherProgram(
                image=text(
                    *(Ref("prometheus.image.registry"), "/", Ref("prometheus.image.name")),
                    *(":", Ref("prometheus.image.tag")),
                ),
                pull_policy=Default(Ref("prometheus.image.pullPolicy"), Ref("imagePullPolicy")),
                live="/-/healthy",
                ready="/-/ready",
                uid=_UID,
                mounts=_MOUNTS,
            ),
        ),
    ),
    meshed=Meshed(
        anchors_from_config_map=True,
        inbound_ports=str(_PORT),
        default_inbound_policy="all-unauthenticated",
        ignore_outbound_ports=Ref("proxyInit.kubeAPIServerPorts"),
        resources=("prometheusProxyResources", "proxy.resources"),
    ),
    volumes=(
        {"name": "config", "configMap": {"name": _CONFIG}},
        Each(
            "mount",
            Ref("prometheus.ruleConfigMapMounts"),
            {
                "name": Ref("name", of="mount"),
                "configMap": {"name": Ref("configMap", of="mount")},
            },
        ),
        When(
            _SIZE,
            {"name": "data", "persistentVolumeClaim": {"claimName": _NAME}},
            otherwise={"name": "data", "emptyDir": {}},
        ),
    ),
    pod_annotations="prometheus.podAnnotations",
    replicas=1,
    known={"proxy.waitBeforeExitSeconds": 0},
    group=_UID,
    # Two cannot have the same volume.
    strategy=When(
        _SIZE,
        {"type": "Recreate"},
        otherwise=When(Ref("deploymentStrategy"), Ref("deploymentStrategy")),
    ),
)

_CONFIG_MAP: Final[dict[str, Tree]] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": metadata(_CONFIG, _COMPONENT),
    "data": {
        "prometheus.yml": _configuration(),
        _RULES: yaml.safe_dump(groups(), sort_keys=False, width=100),
        "more.yml": When(
            Ref("prometheus.scrapeConfigs"), text("scrape_configs: ", _json("scrapeConfigs"), "\n")
        ),
    },
}
_CLAIM: Final[dict[str, Tree]] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": metadata(_NAME, _COMPONENT),
    "spec": {
        "accessModes": [Ref("prometheus.persistence.accessMode")],
        "resources": {"requests": {"storage": _SIZE}},
        "storageClassName": When(
            Ref("prometheus.persistence.storageClass"), Ref("prometheus.persistence.storageClass")
        ),
    },
}

PROMETHEUS: Final = Manifest(
    "prometheus.yaml",
    (
        When(
            Ref("prometheus.enabled"),
            Items(
                (
                    account(_NAME, _COMPONENT),
                    in_cluster(_COMPONENT, _NAME, (rule("", ("pods",), ("get", "list", "watch")),)),
                    _CONFIG_MAP,
                    service(_NAME, _COMPONENT, port=("admin", _PORT), target=_PORT),
                    When(_SIZE, _CLAIM),
                    deployment(PROMETHEUS_COMPONENT),
                )
            ),
        ),
    ),
)
