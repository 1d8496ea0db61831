"""What pods get in all the ways that values and kinds of pods can have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.charts.evaluate import evaluate, roots
from linkerd2_py.charts.pod.before import init, validator
from linkerd2_py.charts.pod.debug import debug_sidecar
from linkerd2_py.charts.pod.kinds import Meshed
from linkerd2_py.charts.pod.proxy import proxy
from linkerd2_py.charts.pod.volumes import volumes
from linkerd2_py.charts.values import defaults, laid_over
from linkerd2_py.controlplane.injector.certificates import make_certificate
from linkerd2_py.proxy.config.load import load
from tests.support.injected import expanded

PREFIX = "LINKERD2_PROXY_"
POD = Meshed()


def made(tree: Any, **values: Mapping[str, Any] | Any) -> Any:
    anchors = {"identityTrustAnchorsPEM": "ANCHOR\n", "proxy": {"podInboundPorts": "80"}}
    return evaluate(
        tree, roots(laid_over(laid_over(defaults(), anchors), values), namespace="mesh")
    )


def environment(pod: Meshed = POD, **values: Any) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in made(proxy(pod), **values)["env"]}


def test_our_proxy_takes_the_whole_environment() -> None:
    anchor = make_certificate("root.linkerd.cluster.local", now=SystemClock().wall()).certificate
    found = load(expanded(made(proxy(POD), identityTrustAnchorsPEM=anchor)["env"]))
    assert found.warnings == ()
    assert found.identity is not None
    assert found.identity.local_name == "web.emojivoto.serviceaccount.identity.mesh.cluster.local"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (
            {"disableIPv6": False},
            {
                "ADMIN_LISTEN_ADDR": "[::]:4191",
                "INBOUND_LISTEN_ADDR": "[::]:4143",
                "OUTBOUND_LISTEN_ADDRS": "127.0.0.1:4140,[::1]:4140",
            },
        ),
        (
            {"clusterDomain": "corp.example"},
            {
                "DESTINATION_SVC_ADDR": "linkerd-dst-headless.mesh.svc.corp.example.:8086",
                "DESTINATION_SVC_NAME": "linkerd-destination.mesh.serviceaccount.identity.mesh.corp.example",
                "DESTINATION_PROFILE_SUFFIXES": "svc.corp.example.",
            },
        ),
        (
            {"identityTrustDomain": "trust.example"},
            {
                "IDENTITY_LOCAL_NAME": "$(_pod_sa).$(_pod_ns).serviceaccount.identity.mesh.trust.example",
                "IDENTITY_SVC_ADDR": "linkerd-identity-headless.mesh.svc.cluster.local.:8080",
            },
        ),
        (
            {"identity": {"serviceAccountTokenProjection": False}},
            {"IDENTITY_TOKEN_FILE": "/var/run/secrets/kubernetes.io/serviceaccount/token"},
        ),
        ({"proxy": {"logHTTPHeaders": "insecure", "logLevel": "debug"}}, {"LOG": "debug"}),
        (
            {"proxy": {"disableInboundProtocolDetectTimeout": True}},
            {"INBOUND_DETECT_TIMEOUT": "365d"},
        ),
        ({"proxy": {"isGateway": True}}, {"INBOUND_GATEWAY_SUFFIXES": "svc.cluster.local."}),
        ({"proxy": {"isIngress": True}}, {"INGRESS_MODE": "true"}),
        ({"proxy": {"enableExternalProfiles": True}}, {"DESTINATION_PROFILE_SUFFIXES": "."}),
        (
            {"proxy": {"outbound": {"server": {"http2": {"maxConcurrentStreams": 7}}}}},
            {"OUTBOUND_SERVER_HTTP2_MAX_CONCURRENT_STREAMS": "7"},
        ),
        (
            {"proxy": {"runtime": {"workers": {"maximum": 3, "maximumCPURatio": 0.5}}}},
            {"CORES": "1", "CORES_MAX": "3", "CORES_MAX_RATIO": "0.5"},
        ),
        (
            {"proxy": {"requireTLSOnInboundPorts": "80", "accessLog": "json"}},
            {"INBOUND_PORTS_REQUIRE_TLS": "80", "ACCESS_LOG": "json"},
        ),
    ],
)
def test_values_that_the_proxy_is_told(values: dict[str, Any], shown: dict[str, str]) -> None:
    found = environment(**values)
    assert {name: found[PREFIX + name] for name in shown} == shown


COLLECTOR = {
    "endpoint": "collector.tracing:4317",
    "meshIdentity": {"serviceAccountName": "collector", "namespace": "tracing"},
}


def test_where_spans_are_collected_the_proxy_knows_by_whom_and_what_they_say() -> None:
    tracing = {"enabled": True, "collector": COLLECTOR, "labels": {"z": "1=2"}}
    values = {"proxy": {"tracing": tracing}}
    found = environment(**values)
    assert {name: value for name, value in found.items() if "TRACE" in name} == {
        f"{PREFIX}TRACE_ATTRIBUTES_PATH": "/var/run/linkerd/podinfo/labels",
        f"{PREFIX}TRACE_PROTOCOL": "opentelemetry",
        f"{PREFIX}TRACE_SERVICE_NAME": "linkerd-proxy",
        f"{PREFIX}TRACE_COLLECTOR_SVC_ADDR": "collector.tracing:4317",
        f"{PREFIX}TRACE_COLLECTOR_SVC_NAME": "collector.tracing.serviceaccount.identity.mesh.cluster.local",
        f"{PREFIX}TRACE_EXTRA_ATTRIBUTES": (
            "k8s.container.name=$(_pod_containerName)\nk8s.pod.ip=$(_pod_ip)\nk8s.pod.uid=$(_pod_uid)\nz=1=2\n"
        ),
    }
    mounts = made(proxy(POD), **values)["volumeMounts"]
    assert {"name": "linkerd-podinfo", "mountPath": "/var/run/linkerd/podinfo"} in mounts
    item = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    assert {"name": "linkerd-podinfo", "downwardAPI": {"items": [item]}} in made(
        volumes(), **values
    )
    anchor = make_certificate("root.linkerd.cluster.local", now=SystemClock().wall()).certificate
    taken = load(expanded(made(proxy(POD), identityTrustAnchorsPEM=anchor, **values)["env"]))
    assert taken.warnings == ()
    assert taken.tracing is not None
    assert taken.tracing.collector.name.startswith("collector.tracing.")


def test_where_nobody_collects_spans_nothing_of_it_is_there() -> None:
    assert not [name for name in environment() if "TRACE" in name]
    assert "podinfo" not in str(made(volumes())) + str(made(proxy(POD))["volumeMounts"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, True),
        ({"tap": {"enabled": False}}, False),
        ({"proxy": {"disableTap": True}}, False),
    ],
)
def test_one_identity_may_tap_where_tap_is_there(values: dict[str, Any], *, said: bool) -> None:
    name = environment(**values).get(f"{PREFIX}TAP_SVC_NAME")
    wanted = "linkerd-tap.mesh.serviceaccount.identity.mesh.cluster.local"
    assert name == (wanted if said else None)


def test_pods_of_the_control_plane_ask_themselves() -> None:
    found = environment(Meshed(serves_destination=True))
    assert found[f"{PREFIX}DESTINATION_SVC_ADDR"] == "localhost.:8086"
    assert found[f"{PREFIX}POLICY_SVC_ADDR"] == "localhost.:8090"
    found = environment(Meshed(serves_identity=True))
    assert found[f"{PREFIX}IDENTITY_SVC_ADDR"] == "localhost.:8080"
    env = made(proxy(Meshed(anchors_from_config_map=True)))["env"]
    anchors = next(one for one in env if one["name"] == f"{PREFIX}IDENTITY_TRUST_ANCHORS")
    assert anchors["valueFrom"]["configMapKeyRef"] == {
        "name": "linkerd-identity-trust-roots",
        "key": "ca-bundle.crt",
    }


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("lingers", [0, 30])
def test_native_and_classic(native: bool, waits: bool, lingers: int) -> None:
    values = {"nativeSidecar": native, "await": waits, "waitBeforeExitSeconds": lingers}
    found = made(proxy(POD), proxy=values)
    assert found.get("restartPolicy") == ("Always" if native else None)
    assert ("startupProbe" in found) == (native and waits)
    hooks = found.get("lifecycle", {})
    assert ("postStart" in hooks) == (not native and waits)
    assert ("preStop" in hooks) == (not native and lingers > 0)


def test_what_runs_before() -> None:
    args = made(init(POD))["args"]
    assert args[:5] == [
        *("--firewall-bin-path", "iptables-nft", "--firewall-save-bin-path", "iptables-nft-save"),
        "--ipv6=false",
    ]
    values = {"iptablesMode": "legacy", "ignoreInboundPorts": "", "ignoreOutboundPorts": "1-2"}
    args = made(init(POD), proxyInit=values, proxy={"gid": 7}, disableIPv6=False)["args"]
    assert args == [
        *("--incoming-proxy-port", "4143", "--outgoing-proxy-port", "4140"),
        *("--proxy-uid", "2102", "--proxy-gid", "7"),
        *("--inbound-ports-to-ignore", "4190,4191", "--outbound-ports-to-ignore", "1-2"),
    ]
    root = made(init(POD), proxyInit={"runAsRoot": True, "closeWaitTimeoutSecs": 60})
    assert root["securityContext"]["runAsUser"] == 0
    assert root["securityContext"]["privileged"] is True
    assert "--timeout-close-wait-secs" in root["args"]


def test_with_the_cni_plugin_the_rules_are_tried_instead() -> None:
    found = made(validator(POD))
    assert found["command"] == ["/usr/lib/linkerd/linkerd2-network-validator"]
    assert found["args"][4:] == [
        *("--connect-addr", "1.1.1.1:20001", "--listen-addr", "0.0.0.0:4140", "--timeout", "10s"),
    ]
    assert "[fd00::1]:20001" in made(validator(POD), disableIPv6=False)["args"]
    bare = made(validator(POD), networkValidator={"enableSecurityContext": False})
    assert "securityContext" not in bare
    names = [one["name"] for one in made(volumes(), cniEnabled=True)]
    assert names == ["linkerd-identity-end-entity", "linkerd-identity-token"]


def test_resources_of_a_component_win_over_those_of_proxies() -> None:
    own = Meshed(resources=("identityProxyResources", "proxy.resources"))
    values = {
        "identityProxyResources": {"cpu": {"request": "1"}},
        "proxy": {"resources": {"cpu": {"request": "2"}, "memory": {"limit": "1Gi"}}},
    }
    found = made(proxy(own), **values)["resources"]
    assert found == {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}
    assert "resources" not in made(proxy(POD))


def test_debug_sidecar() -> None:
    image = {"name": "debug", "version": "v9", "pullPolicy": "Always"}
    found = made(debug_sidecar(), debugContainer={"image": image})
    assert (found["image"], found["imagePullPolicy"]) == ("debug:v9", "Always")
