"""The chart's Prometheus: what is made of values, and what Prometheus' own tool says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from linkerd2_py.charts.evaluate import ValuesError
from linkerd2_py.charts.observe.dashboards.boards import dashboards
from linkerd2_py.charts.observe.scraping import jobs, of_series
from linkerd2_py.charts.render import render
from linkerd2_py.charts.values import Layers, values_of
from linkerd2_py.charts.written import as_yaml
from tests.support.prometheus import needs_prometheus, promtool

GIVEN = as_yaml(
    [
        {
            "identityTrustAnchorsPEM": "anchors",
            "identity": {"issuer": {"tls": {"crtPEM": "crt", "keyPEM": "secret-1"}}},
            "proxyInjector": {"crtPEM": "crt", "keyPEM": "secret-2"},
            "policyValidator": {"crtPEM": "crt", "keyPEM": "secret-3"},
            "tap": {"crtPEM": "crt", "keyPEM": "secret-4"},
        }
    ]
)
ENABLED = "prometheus.enabled=true"
OURS = "http://linkerd-prometheus.mesh.svc.cluster.local:9090"


def rendered(*said: str, file: Any = None) -> dict[tuple[str, str], Any]:
    files = (GIVEN, *([yaml.safe_dump(file)] if file else []))
    objects = render(values_of(Layers(files=files, set=said)), namespace="mesh")
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def config(*said: str, file: Any = None) -> dict[str, str]:
    found: dict[str, str] = rendered(ENABLED, *said, file=file)["ConfigMap", "prometheus-config"][
        "data"
    ]
    return found


def container(objects: dict[tuple[str, str], Any], deployment: str, name: str) -> Any:
    pod = objects["Deployment", deployment]["spec"]["template"]["spec"]
    (found,) = [one for one in pod["containers"] if one["name"] == name]
    return found


def test_nothing_of_it_is_there_unasked() -> None:
    objects = rendered("networkPolicies=true")
    assert not [name for name in objects if "prometheus" in name[1]]
    args = container(objects, "linkerd-public-api", "public-api")["args"]
    assert not [word for word in args if word.startswith("--prometheus-url")]


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ((ENABLED,), OURS),
        (("prometheusUrl=https://x.example/select/0",), "https://x.example/select/0"),
        ((ENABLED, "prometheusUrl=http://x:9090"), "http://x:9090"),
    ],
)
def test_public_api_is_told_where_it_is(said: tuple[str, ...], asked: str) -> None:
    args = container(rendered(*said), "linkerd-public-api", "public-api")["args"]
    assert f"--prometheus-url={asked}" in args


def test_its_pod() -> None:
    objects = rendered(ENABLED, "networkPolicies=true")
    made = container(objects, "linkerd-prometheus", "prometheus")
    assert made["image"] == "prom/prometheus:v2.55.1"
    assert made["args"] == [
        "--log.level=info",
        "--log.format=logfmt",
        "--config.file=/etc/prometheus/prometheus.yml",
        "--storage.tsdb.path=/data",
        "--storage.tsdb.retention.time=6h",
    ]
    assert made["securityContext"]["runAsUser"] == 65534
    assert made["securityContext"]["readOnlyRootFilesystem"] is True
    assert made["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": 9090}
    spec = objects["Deployment", "linkerd-prometheus"]["spec"]["template"]["spec"]
    volumes = {one["name"]: one for one in spec["volumes"]}
    assert "emptyDir" in volumes["data"]
    assert {one["name"] for one in made["volumeMounts"]} <= volumes.keys()
    assert spec["securityContext"]["fsGroup"] == 65534
    proxies = [*spec["containers"], *spec["initContainers"]]
    assert "linkerd-proxy" in {one["name"] for one in proxies}
    (rule,) = objects["ClusterRole", "linkerd-mesh-prometheus"]["rules"]
    assert rule == {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    ports = objects["NetworkPolicy", "linkerd-prometheus"]["spec"]["ingress"][0]["ports"]
    assert {"protocol": "TCP", "port": 9090} in ports


def test_flags_without_a_value() -> None:
    args = container(
        rendered(ENABLED, "prometheus.args.web\\.enable-lifecycle=", "prometheus.logLevel=warn"),
        "linkerd-prometheus",
        "prometheus",
    )["args"]
    assert "--web.enable-lifecycle" in args and "--log.level=warn" in args


def test_a_volume_of_its_own() -> None:
    objects = rendered(
        ENABLED, "prometheus.persistence.size=20Gi", "prometheus.persistence.storageClass=fast"
    )
    claim = objects["PersistentVolumeClaim", "linkerd-prometheus"]["spec"]
    assert claim == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "20Gi"}},
        "storageClassName": "fast",
    }
    spec = objects["Deployment", "linkerd-prometheus"]["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    claims = [
        one["persistentVolumeClaim"]["claimName"]
        for one in spec["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in one
    ]
    assert claims == ["linkerd-prometheus"]


def test_its_jobs_are_those_that_are_said_once() -> None:
    found = yaml.safe_load(config()["prometheus.yml"])
    assert found["global"]["scrape_interval"] == "10s"
    own, *scraped = found["scrape_configs"]
    assert own["job_name"] == "prometheus"
    assert scraped == jobs(
        control_plane="mesh",
        discovery="kubernetes_sd_configs",
        proxies=[{"role": "pod"}],
        controllers=[{"role": "pod", "namespaces": {"names": ["mesh"]}}],
    )
    assert scraped[-1]["metric_relabel_configs"] == of_series()


MORE = {
    "prometheus": {
        "globalConfig": {"scrape_interval": "30s", "external_labels": {"cluster": "a: b\n{{ c }}"}},
        "scrapeConfigs": [{"job_name": "mine", "static_configs": [{"targets": ["x:1"]}]}],
        "alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}],
        "alertRelabelConfigs": [{"action": "labeldrop", "regex": "replica"}],
        "remoteWrite": [{"url": "http://mimir/api/v1/push"}],
        "metricRelabelConfigs": [{"action": "drop", "source_labels": ["le"], "regex": "50"}],
        "ruleConfigMapMounts": [{"name": "m", "configMap": "mine", "subPath": "my_rules.yml"}],
    }
}


def test_what_values_add_to_it() -> None:
    data = config(file=MORE)
    found = yaml.safe_load(data["prometheus.yml"])
    said: dict[str, Any] = MORE["prometheus"]
    assert found["global"] == {
        **said["globalConfig"],
        "scrape_timeout": "10s",
        "evaluation_interval": "10s",
    }
    assert found["remote_write"] == said["remoteWrite"]
    assert found["alerting"] == {
        "alert_relabel_configs": said["alertRelabelConfigs"],
        "alertmanagers": said["alertmanagers"],
    }
    assert found["scrape_configs"][-1]["metric_relabel_configs"] == said["metricRelabelConfigs"]
    assert found["scrape_config_files"] == ["/etc/prometheus/more.yml"]
    assert yaml.safe_load(data["more.yml"]) == {"scrape_configs": said["scrapeConfigs"]}
    objects = rendered(ENABLED, file=MORE)
    mounts = container(objects, "linkerd-prometheus", "prometheus")["volumeMounts"]
    assert {
        "name": "m",
        "mountPath": "/etc/prometheus/my_rules.yml",
        "subPath": "my_rules.yml",
        "readOnly": True,
    } in mounts
    assert "/etc/prometheus/more.yml" in {one["mountPath"] for one in mounts}


def test_who_has_a_grafana_gets_dashboards() -> None:
    assert not [name for _, name in rendered(ENABLED) if "grafana" in name]
    said = ("grafana.externalUrl=https://grafana.example", "grafana.uidPrefix=prod-")
    objects = rendered(ENABLED, *said)
    found = {
        name: one for (kind, name), one in objects.items() if name.startswith("linkerd-grafana")
    }
    for board in dashboards():
        made = found.pop(f"linkerd-grafana-{board.name}")
        assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((file, text),) = made["data"].items()
        assert file == f"{board.uid}.json"
        assert json.loads(text) == {**board.written(), "uid": f"prod-{board.uid}"}
        assert len(text) < 2**20
    (datasource,) = found.values()
    assert yaml.safe_load(datasource["data"]["linkerd.yaml"])["datasources"][0]["url"] == OURS


@needs_prometheus
def test_prometheus_takes_it(tmp_path: Path) -> None:
    for name, text in config().items():
        # What a pod has of its account is not here.
        (tmp_path / name).write_text(text.replace("/etc/prometheus", str(tmp_path)))
    # Debian's has no discovery in Kubernetes: the same jobs with what it can discover.
    path = tmp_path / "prometheus.yml"
    found = yaml.safe_load(path.read_text())
    for job in found["scrape_configs"][1:]:
        job["file_sd_configs"] = [{"files": ["x.json"]} for _ in job.pop("kubernetes_sd_configs")]
    path.write_text(yaml.safe_dump(found))
    said = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert "1 rule files found" in said and "rules found" in said


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("prometheusUrl=prometheus:9090", "prometheusUrl"),
        ("prometheus.persistence.size=much", "prometheus.persistence.size"),
        ("prometheus.logFormat=plain", "prometheus.logFormat"),
    ],
)
def test_values_that_mean_nothing(said: str, named: str) -> None:
    with pytest.raises(ValuesError, match=named):
        rendered(ENABLED, said)
