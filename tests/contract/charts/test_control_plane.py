"""`install` and Helm make the same objects of the same values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from linkerd2_py.charts.control_plane import MANIFESTS
from linkerd2_py.charts.evaluate import ValuesError, objects, roots
from linkerd2_py.charts.render import CRDS, render_crds
from linkerd2_py.charts.values import CHART, Layers, defaults, values_of
from linkerd2_py.charts.written import as_yaml
from tests.support.helm import Helm, HelmError, by_name

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n"
GIVEN: dict[str, Any] = {
    "identityTrustAnchorsPEM": PEM,
    "identity": {"issuer": {"tls": {"crtPEM": PEM, "keyPEM": KEY}}},
    "proxyInjector": {"crtPEM": PEM, "keyPEM": KEY},
    "policyValidator": {"crtPEM": PEM, "keyPEM": KEY},
    "tap": {"crtPEM": PEM, "keyPEM": KEY},
}
"""What `install` makes and Helm is given."""
CASES: dict[str, Layers] = {
    "default": Layers(),
    "ha": Layers(ha=True),
    "cni": Layers(set=("cniEnabled=true",)),
    "external-issuer": Layers(
        set=("identity.issuer.scheme=kubernetes.io/tls", "identity.externalCA=true")
    ),
    "external-anchors": Layers(set=("identity.externalCA=true,identityTrustAnchorsPEM=",)),
    "ipv6": Layers(set=("disableIPv6=false",)),
    "registry": Layers(
        set=(
            "controllerImage=registry.local:5000/a/controller",
            "controllerImageVersion=v1",
            "proxy.image.name=registry.local:5000/a/proxy,proxy.image.version=sha-1",
            "imagePullPolicy=Always,proxy.image.pullPolicy=Never",
            "imagePullSecrets[0].name=login",
        )
    ),
    "webhooks-by-others": Layers(
        set=(
            "proxyInjector.externalSecret=true,proxyInjector.injectCaFrom=linkerd/injector",
            "policyValidator.externalSecret=true",
            "policyValidator.injectCaFromSecret=linkerd/policy",
            "tap.externalSecret=true,tap.injectCaFrom=linkerd/tap",
        )
    ),
    "webhooks-by-a-bundle": Layers(
        files=(as_yaml([{"policyValidator": {"externalSecret": True, "caBundle": PEM}}]),)
    ),
    "classic-sidecar": Layers(set=("proxy.nativeSidecar=false,proxy.waitBeforeExitSeconds=5",)),
    "classic-sidecar-at-once": Layers(set=("proxy.nativeSidecar=false,proxy.await=false",)),
    "root-init": Layers(
        set=(
            "proxyInit.runAsRoot=true,proxyInit.closeWaitTimeoutSecs=60,proxyInit.privileged=true",
            "proxyInit.iptablesMode=legacy,proxyInit.capabilities.drop={ALL}",
            "proxyInit.logLevel=debug,proxyInit.logFormat=json,proxyInit.skipSubnets=10.1.0.0/16",
        )
    ),
    "everywhere": Layers(
        set=(
            "proxy.uid=1000650000,proxy.gid=1,controllerGID=2,priorityClassName=system-cluster-critical",
            "runtimeClassName=gvisor,tolerations[0].key=a,tolerations[0].operator=Exists",
            "commonLabels.team=mesh,podLabels.pod=x,podAnnotations.note=1e3",
            "identity.podAnnotations.note=later,nodeSelector.disk=ssd",
            "nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms={}",
            "proxy.accessLog=json,proxy.shutdownGracePeriod=5s,proxy.logHTTPHeaders=insecure",
            "configReaders[0].name=viz,configReaders[0].namespace=linkerd-viz",
            "identityTrustDomain=mesh.example,cliVersion=linkerd/cli x",
            "proxy.additionalEnv[0].name=A,proxy.additionalEnv[0].value=B",
            "destinationProxyResources.cpu.limit=2,networkPolicies=true",
        ),
        set_string=("podAnnotations.note=1e3",),
    ),
    "traced": Layers(
        set=(
            "proxy.tracing.enabled=true,proxy.tracing.collector.endpoint=collector.tracing:4317",
            "proxy.tracing.collector.meshIdentity.serviceAccountName=collector",
            "proxy.tracing.collector.meshIdentity.namespace=tracing",
            "proxy.tracing.labels.a=1e3,proxy.tracing.labels.Z=b=c",
        ),
    ),
    "security": Layers(set=("proxy.securityContext.runAsUser=5,networkValidator.timeout=1s",)),
    "prometheus": Layers(set=("prometheus.enabled=true,networkPolicies=true",)),
    "prometheus-of-others": Layers(
        set=(
            "prometheusUrl=https://mimir.example/prometheus",
            "grafana.externalUrl=https://grafana.example,grafana.uidPrefix=prod-",
        )
    ),
    "prometheus-with-more": Layers(
        set=("prometheus.enabled=true,grafana.url=grafana.grafana:3000,prometheus.logFormat=json",),
        files=(
            as_yaml(
                [
                    {
                        "prometheus": {
                            "args": {
                                "web.enable-lifecycle": None,
                                "storage.tsdb.retention.size": "1GB",
                            },
                            "globalConfig": {"external_labels": {"cluster": 'a: "b" {{ c }}'}},
                            "scrapeConfigs": [
                                {"job_name": "x", "static_configs": [{"targets": ["a:1"]}]}
                            ],
                            "metricRelabelConfigs": [],
                            "remoteWrite": [{"url": "http://mimir/api/v1/push"}],
                            "alertmanagers": [{"static_configs": [{"targets": ["b:9093"]}]}],
                            "ruleConfigMapMounts": [
                                {"name": "m", "configMap": "mine", "subPath": "my_rules.yml"}
                            ],
                            "persistence": {"size": "20Gi", "storageClass": "fast"},
                            "resources": {"memory": {"limit": "2Gi"}},
                            "podAnnotations": {"note": "1e3"},
                        }
                    }
                ]
            ),
        ),
    ),
}


def _switches(values: dict[str, Any], path: str = "") -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    for key, one in values.items():
        below = f"{path}.{key}" if path else key
        if isinstance(one, bool):
            found.append((below, one))
        elif isinstance(one, dict):
            found += _switches(one, below)
    return found


MORE = {
    "proxyInjector.externalSecret": ("proxyInjector.caBundle=x",),
    "policyValidator.externalSecret": ("policyValidator.caBundle=x",),
    "tap.externalSecret": ("tap.caBundle=x",),
    "proxy.tracing.enabled": (
        "proxy.tracing.collector.endpoint=collector.tracing:4317",
        "proxy.tracing.collector.meshIdentity.serviceAccountName=collector",
        "proxy.tracing.collector.meshIdentity.namespace=tracing",
    ),
}
"""What goes with a switch."""
for _path, _value in _switches(defaults()):
    _said = (f"{_path}={str(not _value).lower()}", *MORE.get(_path, ()))
    CASES[f"{_path}-{not _value}"] = Layers(set=_said)


def _given(layers: Layers) -> Layers:
    texts = (as_yaml([GIVEN]), *layers.files)
    return Layers(layers.ha, texts, layers.set, layers.set_string, layers.set_file)


def _ours(layers: Layers, **options: str) -> dict[tuple[str, str, str], Any]:
    known = roots(values_of(_given(layers)), service="Helm", **options)
    return by_name([one for manifest in MANIFESTS for one in objects(manifest, known)])


def _flags(layers: Layers, folder: Path) -> list[str]:
    words: list[str] = []
    if layers.ha:
        words += ["-f", str(CHART / "values-ha.yaml")]
    for number, text in enumerate(_given(layers).files):
        path = folder / f"{number}.yaml"
        path.write_text(text)
        words += ["-f", str(path)]
    words += [word for text in layers.set for word in ("--set", text)]
    return words + [word for text in layers.set_string for word in ("--set-string", text)]


def _compare(ours: dict[tuple[str, str, str], Any], helms: dict[tuple[str, str, str], Any]) -> None:
    assert ours.keys() == helms.keys()
    for name, one in ours.items():
        other = helms[name]
        if name[2] == "linkerd-config" and name[0] == "ConfigMap":
            one, other = ({**each, "data": _parsed(each)} for each in (one, other))  # noqa: PLW2901
        assert one == other, name


def _parsed(config: dict[str, Any]) -> Any:
    return yaml.safe_load(config["data"]["values"])


@pytest.mark.parametrize("case", CASES)
def test_helm_makes_the_objects_of_install(helm: Helm, tmp_path: Path, case: str) -> None:
    layers = CASES[case]
    helms = helm.template(CHART, *_flags(layers, tmp_path), namespace="linkerd")
    _compare(_ours(layers), by_name(helms))


def test_in_another_namespace(helm: Helm, tmp_path: Path) -> None:
    helms = helm.template(CHART, *_flags(Layers(), tmp_path), namespace="mesh")
    ours = _ours(Layers(), namespace="mesh")
    assert {namespace for _, namespace, _ in ours} == {"mesh", "kube-system", ""}
    _compare(ours, by_name(helms))


def test_the_kinds_are_those_of_the_chart(helm: Helm) -> None:
    assert by_name(helm.template(CRDS.parent)) == by_name(render_crds())


@pytest.mark.parametrize("chart", [CHART, CRDS.parent], ids=["control-plane", "crds"])
def test_helm_finds_nothing_to_complain_of(helm: Helm, tmp_path: Path, chart: Path) -> None:
    said = helm("lint", chart, "--strict", *_flags(Layers(), tmp_path))
    assert "0 chart(s) failed" in said


def test_webhooks_have_certificates_of_helms_making(helm: Helm, tmp_path: Path) -> None:
    words = _flags(Layers(set=("proxyInjector.crtPEM=,proxyInjector.keyPEM=",)), tmp_path)
    found = by_name(helm.template(CHART, *words))
    secret = found["Secret", "linkerd", "linkerd-proxy-injector-k8s-tls"]
    (hook,) = found["MutatingWebhookConfiguration", "", "linkerd-proxy-injector-webhook-config"][
        "webhooks"
    ]
    assert hook["clientConfig"]["caBundle"] == secret["data"]["tls.crt"]
    assert int(secret["metadata"]["annotations"]["linkerd2-py/renew-after"]) > 0


REFUSED = {
    "identityTrustAnchorsPEM=": "identityTrustAnchorsPEM is not set",
    "identity.issuer.tls.crtPEM=": r"identity.issuer.tls.crtPEM is not set",
    "identity.issuer.tls.keyPEM=": r"identity.issuer.tls.keyPEM is not set",
    "proxy.tracing.enabled=true": "proxy.tracing.collector.endpoint is not set",
    "proxy.tracing.enabled=true,proxy.tracing.collector.endpoint=a:1": "serviceAccountName is not set",
    "proxyInjector.keyPEM=": "proxyInjector.crtPEM and proxyInjector.keyPEM go together",
    "proxyInjector.externalSecret=true": "proxyInjector.externalSecret: say by whom it is verified",
    "policyValidator.injectCaFrom=a/b": "go with policyValidator.externalSecret=true",
    "policyValidator.injectCaFrom=a/b,policyValidator.injectCaFromSecret=a/b": "exclude each other",
    "policyValidator.injectCaFrom=a/b,policyValidator.caBundle=x": "exclude each other",
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_means_nothing_is_refused_with_the_same_words(
    helm: Helm, tmp_path: Path, said: str
) -> None:
    layers = Layers(set=(said,))
    with pytest.raises(ValuesError, match=REFUSED[said]):
        _ours(layers)
    with pytest.raises(HelmError, match=REFUSED[said]):
        helm.template(CHART, *_flags(layers, tmp_path))


@pytest.mark.parametrize(
    "said",
    ["proxy.logLvel=x", "proxy.uid=null", "proxy=1", "imagePullPolicy=now", "proxy.ports.admin=0"],
)
def test_helm_refuses_what_the_schema_refuses(helm: Helm, tmp_path: Path, said: str) -> None:
    layers = Layers(set=(said,))
    with pytest.raises(ValuesError):
        values_of(_given(layers))
    with pytest.raises(HelmError, match=said.partition("=")[0].rpartition(".")[2]):
        helm.template(CHART, *_flags(layers, tmp_path))
