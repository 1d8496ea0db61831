"""What annotations make of values."""

from __future__ import annotations

from typing import Any

import pytest

from linkerd2_py.controlplane.injector.overrides import (
    OVERRIDES,
    Values,
    add_env,
    describe,
    lay_over,
    look_up,
)

CONFIG = "config.linkerd.io/"


@pytest.mark.parametrize(
    ("annotation", "said", "path", "value"),
    [
        ("proxy-cpu-request", "1500m", "proxy.runtime.workers.minimum", 2),
        ("proxy-cpu-limit", "0.1", "proxy.runtime.workers.maximum", 1),
        ("proxy-cpu-limit", "0.1", "proxy.resources.cpu.limit", "0.1"),
        ("shutdown-grace-period", "1m30s", "proxy.shutdownGracePeriod", "90000ms"),
        ("proxy-outbound-connect-timeout", "1.5s", "proxy.outboundConnectTimeout", "1500ms"),
        (
            "proxy-inbound-discovery-cache-unused-timeout",
            "2m",
            "proxy.inboundDiscoveryCacheUnusedTimeout",
            "120s",
        ),
        ("proxy-await", "disabled", "proxy.await", False),
        ("proxy-enable-native-sidecar", "F", "proxy.nativeSidecar", False),
        ("admin-port", "9998", "proxy.ports.admin", 9998),
        ("opaque-ports", "sql,80, 90-91,", "proxy.opaquePorts", "3306,80,90-91"),
        ("close-wait-timeout", "1h", "proxyInit.closeWaitTimeoutSecs", 3600),
        ("proxy-gid", "-1", "proxy.gid", -1),
        ("access-log", "Apache", "proxy.accessLog", "apache"),
        ("access-log", "", "proxy.accessLog", ""),
    ],
)
def test_an_annotation_changes_a_value(annotation: str, said: str, path: str, value: Any) -> None:
    values: Values = {}
    problems = lay_over(values, {CONFIG + annotation: said}, named_ports={"sql": 3306})
    assert look_up(values, path) == value
    assert type(look_up(values, path)) is type(value)
    assert problems == []


@pytest.mark.parametrize(
    ("annotation", "said", "complaint"),
    [
        ("admin-port", "0", "is not a whole number from 1 to 65535"),
        ("admin-port", "1_0", "is not a whole number from 1 to 65535"),
        ("proxy-cpu-request", "lots", "is not a quantity"),
        ("proxy-cpu-ratio-limit", "1.0", "is not a number between 0.0 and 1.0"),
        ("proxy-cpu-ratio-limit", "nan", "is not a number between 0.0 and 1.0"),
        ("shutdown-grace-period", "-1s", "is not a duration"),
        ("proxy-await", "true", "use enabled or disabled"),
        ("access-log", "common", "use apache or json"),
        ("default-inbound-policy", "everybody", "use all-unauthenticated"),
        ("enable-gateway", "yes", "is neither true nor false"),
        ("opaque-ports", "80,nobody", "'nobody' is no port"),
        ("opaque-ports", "90-80", "'90-80' is no port"),
    ],
)
def test_what_cannot_be_read_changes_nothing_and_is_told(
    annotation: str, said: str, complaint: str
) -> None:
    values: Values = {}
    problems = lay_over(values, {CONFIG + annotation: said}, named_ports={})
    assert any(complaint in one and one.startswith(CONFIG + annotation) for one in problems)
    changed = {one.value for one in OVERRIDES if one.annotation == CONFIG + annotation}
    assert not any(look_up(values, path) for path in changed)


def test_the_settled_name_wins() -> None:
    values: Values = {}
    said = {
        f"{CONFIG}proxy-enable-native-sidecar": "false",
        "config.beta.linkerd.io/proxy-enable-native-sidecar": "true",
        "config.alpha.linkerd.io/proxy-enable-native-sidecar": "true",
    }
    lay_over(values, said, named_ports={})
    assert look_up(values, "proxy.nativeSidecar") is False


def test_variables_of_the_last_layer_win() -> None:
    values: Values = {"proxy": {"additionalEnv": [{"name": "A", "value": "chart"}]}}
    namespace = '[{"name": "A", "value": "namespace"}, {"name": "B", "value": "namespace"}]'
    problems = add_env(values, namespace, None, '[{"name": "B", "value": "pod"}]', "[", '{"a": 1}')
    assert look_up(values, "proxy.additionalEnv") == [
        {"name": "A", "value": "namespace"},
        {"name": "B", "value": "pod"},
    ]
    assert len(problems) == 2


RESOURCE = "resource.opentelemetry.io/"
TRACED = {"enabled": True, "labels": {"k8s.pod.ip": "$(_pod_ip)"}}


@pytest.mark.parametrize(
    ("annotations", "labels", "added"),
    [
        ({}, {}, {}),
        ({}, {"app.kubernetes.io/name": "web"}, {"service.name": "web"}),
        (
            {},
            {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web-1"},
            {"service.name": "web-1"},
        ),
        (
            {f"{RESOURCE}service.name": "mine", f"{RESOURCE}team": "a", "team": "b"},
            {"app.kubernetes.io/name": "web"},
            {"service.name": "mine", "team": "a"},
        ),
        ({f"{RESOURCE}note": "a\nservice.name=b", RESOURCE: "x"}, {}, {"note": "a service.name=b"}),
    ],
)
def test_what_spans_say_of_a_pod(
    annotations: dict[str, str], labels: dict[str, str], added: dict[str, str]
) -> None:
    values: Values = {"proxy": {"tracing": dict(TRACED)}}
    describe(values, annotations, labels)
    assert values["proxy"]["tracing"]["labels"] == {"k8s.pod.ip": "$(_pod_ip)", **added}
    for untraced in ({}, {"proxy": {"tracing": {"enabled": False}}}):
        before: Values = dict(untraced)
        describe(before, annotations, labels)
        assert before == untraced
