"""The rules, as Prometheus' own tool runs them: each alert where it is to be heard, and where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from linkerd2_py.charts.observe.rules import alerts, groups, recorded
from tests.support.prometheus import needs_prometheus, promtool

pytestmark = needs_prometheus

POD = 'namespace="shop", pod="web-0", deployment="web"'
INBOUND = f'direction="inbound", {POD}'
PROXY = f'job="linkerd-proxy", {POD}'
ADMIN = f'direction="inbound", target_port="4191", {POD}'
ENDS = f"control_identity_cert_expiration_timestamp_seconds{{{POD}}}"
CAME = f"control_identity_cert_refresh_timestamp_seconds{{{POD}}}"


@dataclass(frozen=True)
class Case:
    """Samples once a minute, in Prometheus' short form, and whether that is warned of at a minute."""

    alert: str
    series: Mapping[str, str]
    minute: int
    about: Mapping[str, str] | None = None
    value: str = ""


def case(alert: str, minute: int, series: Mapping[str, str], **about: str) -> Case:
    return Case(alert, series, minute, about or None)


WEB = {"namespace": "shop", "deployment": "web"}
WEB_0 = {"namespace": "shop", "pod": "web-0"}
SUCCESS = f'response_total{{{INBOUND}, classification="success"}}'
FAILURE = f'response_total{{{INBOUND}, classification="failure"}}'
FAST = f'response_latency_ms_bucket{{{INBOUND}, le="1000"}}'
SLOW = f'response_latency_ms_bucket{{{INBOUND}, le="2000"}}'
ALL = f'response_latency_ms_bucket{{{INBOUND}, le="+Inf"}}'
CASES = [
    # Nine of ten; all; nine of ten, but hardly any; and what the administration is asked.
    case("LinkerdLowSuccessRate", 20, {SUCCESS: "0+90x30", FAILURE: "0+10x30"}, **WEB),
    case("LinkerdLowSuccessRate", 20, {FAILURE: "0+100x30"}, **WEB),
    case("LinkerdLowSuccessRate", 4, {SUCCESS: "0+90x30", FAILURE: "0+10x30"}),
    case("LinkerdLowSuccessRate", 20, {SUCCESS: "0+98x30", FAILURE: "0+2x30"}),
    case("LinkerdLowSuccessRate", 20, {SUCCESS: "0+1x30", FAILURE: "0+1x30"}),
    case(
        "LinkerdLowSuccessRate",
        20,
        {f'response_total{{{ADMIN}, classification="failure"}}': "0+100x30"},
    ),
    case("LinkerdHighLatency", 20, {FAST: "0+90x30", SLOW: "0+100x30", ALL: "0+100x30"}, **WEB),
    case("LinkerdHighLatency", 20, {FAST: "0+99x30", SLOW: "0+100x30", ALL: "0+100x30"}),
    case(
        "LinkerdRequestsDenied",
        20,
        {
            f"inbound_http_authz_deny_total{{{POD}}}": "0+1x30",
            f"inbound_tcp_authz_deny_total{{{POD}}}": "0+0x30",
        },
        **WEB_0,
    ),
    case("LinkerdRequestsDenied", 20, {f"inbound_http_authz_deny_total{{{POD}}}": "5+0x30"}),
    case(
        "LinkerdFailFast",
        20,
        {f'outbound_http_errors_total{{{POD}, error="failfast"}}': "0+1x30"},
        **WEB_0,
    ),
    case(
        "LinkerdFailFast",
        20,
        {
            f'outbound_http_route_request_statuses_total{{{POD}, error="FAIL_FAST"}}': "0+1x30",
            f'outbound_http_errors_total{{{POD}, error="other"}}': "0+1x30",
        },
        **WEB_0,
    ),
    case(
        "LinkerdFailFast",
        20,
        {f'outbound_http_errors_total{{{POD}, error="i/o"}}': "0+1x30"},
    ),
    case("LinkerdProxyDown", 20, {f"up{{{PROXY}}}": "0x30"}, job="linkerd-proxy", pod="web-0", **WEB),
    case("LinkerdProxyDown", 20, {f"up{{{PROXY}}}": "1x30"}),
    case("LinkerdProxyDown", 20, {'up{job="other"}': "0x30"}),
    # A day from noon; an hour before its end it should have been renewed long ago.
    case(
        "LinkerdCertificateExpiresSoon", 1400, {ENDS: "86400x1500", CAME: "0x1500"},
        **WEB_0, deployment="web",
    ),
    case("LinkerdCertificateExpiresSoon", 1000, {ENDS: "86400x1500", CAME: "0x1500"}),
    case("LinkerdCertificateExpiresSoon", 20, {ENDS: "0x1500", CAME: "0x1500"}),
    case("LinkerdCertificateExpired", 30, {ENDS: "1200x60", CAME: "0x60"}, **WEB_0, deployment="web"),
    case("LinkerdCertificateExpired", 10, {ENDS: "1200x60", CAME: "0x60"}),
    case("LinkerdCertificateExpired", 10, {ENDS: "0x60", CAME: "0x60"}),
    case(
        "LinkerdCertificateNotRenewed",
        40,
        {f'control_identity_cert_refreshes_total{{{POD}, result="error"}}': "0+1x60"},
        **WEB_0, deployment="web", result="error",
    ),
    case(
        "LinkerdCertificateNotRenewed",
        40,
        {f'control_identity_cert_refreshes_total{{{POD}, result="success"}}': "0+1x60"},
    ),
    case(
        "LinkerdControlCallsFail",
        20,
        {f'control_response_total{{{POD}, classification="failure"}}': "0+60x30"},
        **WEB_0,
    ),
    case(
        "LinkerdControlCallsFail",
        20,
        {f'control_response_total{{{POD}, classification="success"}}': "0+60x30"},
    ),
    case(
        "LinkerdProxyTasksFail",
        20,
        {f'task_failures_total{{{PROXY}, task="identity"}}': "0+1x30"},
        task="identity", **WEB_0,
    ),
    case("LinkerdProxyTasksFail", 20, {f'task_failures_total{{{PROXY}, task="x"}}': "1x30"}),
    case(
        "LinkerdListenerExhausted",
        20,
        {f'listener_exhausted_total{{{POD}, direction="inbound"}}': "0+1x30"},
        **WEB_0,
    ),
    case(
        "LinkerdListenerExhausted",
        20,
        {f'listener_exhausted_total{{{POD}, direction="inbound"}}': "1x30"},
    ),
    case(
        "LinkerdControlPlaneDown",
        20,
        {'up{job="linkerd-controller", component="identity"}': "0x30"},
        job="linkerd-controller", component="identity",
    ),
    case("LinkerdControlPlaneDown", 20, {'up{job="linkerd-controller"}': "1x30"}),
    case(
        "LinkerdControlPlaneTasksFail",
        20,
        {'task_failures_total{job="linkerd-controller", component="tap", task="x"}': "0+1x30"},
        component="tap", task="x",
    ),
    case(
        "LinkerdControlPlaneTasksFail",
        20,
        {'task_failures_total{job="linkerd-controller", component="tap", task="x"}': "1x30"},
    ),
]  # fmt: skip


def run(folder: Path, tests: list[dict[str, Any]]) -> str:
    (folder / "rules.yml").write_text(yaml.safe_dump(groups(), width=1000))
    script = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yml").write_text(yaml.safe_dump(script, width=1000))
    return promtool("test", "rules", str(folder / "tests.yml"))


def expected(one: Case) -> list[dict[str, Any]]:
    """What is to be heard; labels and words are compared in another test."""
    return [] if one.about is None else [dict(one.about)]


def test_every_alert_is_heard_and_not_heard(tmp_path: Path) -> None:
    heard = {one.alert for one in CASES if one.about}
    silent = {one.alert for one in CASES if not one.about}
    assert heard == silent == {one.name for one in alerts()}
    by_name = {one.name: one for one in alerts()}
    tests = [
        {
            "name": f"{one.alert} {number}",
            "interval": "1m",
            "input_series": [
                {"series": name, "values": values} for name, values in one.series.items()
            ],
            # Alerts, by the series that Prometheus has of them: words are another test's.
            "promql_expr_test": [
                {
                    "expr": f'ALERTS{{alertname="{one.alert}", alertstate="firing"}}',
                    "eval_time": f"{one.minute}m",
                    "exp_samples": [
                        {"labels": _shown(one, by_name[one.alert].severity, about), "value": 1}
                        for about in expected(one)
                    ],
                }
            ],
        }
        for number, one in enumerate(CASES)
    ]
    assert "SUCCESS" in run(tmp_path, tests)


def _shown(one: Case, severity: str, about: Mapping[str, str]) -> str:
    labels = {"alertname": one.alert, "alertstate": "firing", "severity": severity, **about}
    inside = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return f"ALERTS{{{inside}}}"


def test_words_name_who_suffers(tmp_path: Path) -> None:
    test = {
        "interval": "1m",
        "input_series": [
            {"series": SUCCESS, "values": "0+90x30"},
            {"series": FAILURE, "values": "0+10x30"},
            {"series": f"up{{{PROXY}}}", "values": "0x30"},
        ],
        "alert_rule_test": [
            {
                "eval_time": "20m",
                "alertname": "LinkerdLowSuccessRate",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "critical", **WEB},
                        "exp_annotations": {
                            "summary": "shop/web fails",
                            "description": "Of the requests to shop/web, 90% succeed. "
                            "`linkerd2-py stat` and `linkerd2-py routes` show who asks, and for what.",
                        },
                    }
                ],
            },
            {
                "eval_time": "20m",
                "alertname": "LinkerdProxyDown",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "critical", "job": "linkerd-proxy", "pod": "web-0", **WEB},
                        "exp_annotations": {
                            "summary": "the proxy of shop/web-0 does not answer",
                            "description": "The metrics of shop/web-0 cannot be read. "
                            "`linkerd2-py check --proxy` says more.",
                        },
                    }
                ],
            },
        ],
    }  # fmt: skip
    assert "SUCCESS" in run(tmp_path, [test])


def test_recorded_series(tmp_path: Path) -> None:
    level = "linkerd:workload"
    wanted = {
        f"{level}_response:rate1m": "1.5",
        f"{level}_success:rate1m": "1",
        f"{level}_connections:sum": "7",
    }
    test = {
        "interval": "10s",
        "input_series": [
            {"series": SUCCESS, "values": "0+10x60"},
            {"series": FAILURE, "values": "0+5x60"},
            {"series": f"tcp_open_connections{{{INBOUND}, peer='src'}}", "values": "7x60"},
            {"series": f"tcp_open_connections{{{INBOUND}, peer='dst'}}", "values": "9x60"},
        ],
        "promql_expr_test": [
            {
                "expr": name,
                "eval_time": "5m",
                "exp_samples": [
                    {"labels": f'{name}{{namespace="shop", deployment="web"}}', "value": float(value)}
                ],
            }
            for name, value in wanted.items()
        ],
    }  # fmt: skip
    assert {one.name for one in recorded()} - wanted.keys() == {
        f"{level}_response_latency_ms_bucket:rate1m"
    }
    assert "SUCCESS" in run(tmp_path, [test])


def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(groups()))
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "rules.yml"))
    assert f"{len(alerts()) + len(recorded())} rules found" in said


@pytest.mark.parametrize("one", alerts(), ids=lambda one: one.name)
def test_every_alert_says_what_to_do(one: Any) -> None:
    assert one.summary and one.description.endswith((".", "reason."))
    assert one.severity in {"warning", "critical"}
