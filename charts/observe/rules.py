"""What a Prometheus computes of a mesh ahead of time, and what it warns of.

A line of `recorded` has Linkerd's golden metrics by workload, so that graphs over days are quick. Alerts
name the thing that suffers and the command that shows more; their thresholds are those of most services,
and are there to be changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from linkerd2_py.charts.observe.scraping import CONTROLLER_JOB, PROXY_JOB

OWNERS: Final = (
    *("deployment", "statefulset", "daemonset", "replicaset"),
    *("replicationcontroller", "cronjob", "k8s_job"),
)
_INBOUND: Final = 'direction="inbound", target_port!="4191"'
"""Requests to workloads. What the administration of a proxy is asked is none of theirs."""
_BY: Final = f"namespace, {', '.join(OWNERS)}"
_WINDOW: Final = "1m"
_WHO: Final = (
    "{{ $labels.namespace }}/"
    "{{ with $labels.deployment }}{{ . }}{{ else }}{{ with $labels.statefulset }}{{ . }}{{ else }}"
    "{{ with $labels.daemonset }}{{ . }}{{ else }}{{ $labels.pod }}{{ end }}{{ end }}{{ end }}"
)
_OUTBOUND_ERRORS: Final = (
    *("outbound_http_errors_total", "outbound_tcp_errors_total"),
    *("outbound_http_route_request_statuses_total", "outbound_grpc_route_request_statuses_total"),
)
_FAIL_FAST: Final = '{error=~"(?i).*fail.?fast.*"}'
_POD: Final = "{{ $labels.namespace }}/{{ $labels.pod }}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A series that is computed ahead of time."""

    name: str
    expression: str

    def written(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        return {"record": self.name, "expr": self.expression}


@dataclass(frozen=True, slots=True)
class Alert:
    """A warning, once its expression has held for so long."""

    name: str
    expression: str
    lasting: str
    summary: str
    description: str
    severity: str = "warning"
    more: Mapping[str, str] = field(default_factory=dict)

    def written(self) -> dict[str, Any]:
        """As Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.lasting,
            "labels": {"severity": self.severity, **self.more},
            "annotations": {"summary": self.summary, "description": self.description},
        }


def recorded() -> Sequence[Recorded]:
    """By workload: `linkerd:` is the level, as the convention for names has it."""
    responses = f"rate(response_total{{{_INBOUND}}}[{_WINDOW}])"
    latencies = f"rate(response_latency_ms_bucket{{{_INBOUND}}}[{_WINDOW}])"
    name = "linkerd:workload"
    wins = f'rate(response_total{{{_INBOUND}, classification="success"}}[{_WINDOW}])'
    return [
        Recorded(f"{name}_response:rate1m", f"sum({responses}) by ({_BY})"),
        Recorded(f"{name}_success:rate1m", f"sum({wins}) by ({_BY})"),
        Recorded(f"{name}_response_latency_ms_bucket:rate1m", f"sum({latencies}) by (le, {_BY})"),
        Recorded(
            f"{name}_connections:sum",
            f'sum(tcp_open_connections{{direction="inbound", peer="src"}}) by ({_BY})',
        ),
    ]


def alerts() -> Sequence[Alert]:
    """Of workloads, of proxies, and of the control plane."""
    return [*_of_workloads(), *_of_proxies(), *_of_control_plane()]


def _of_workloads() -> Sequence[Alert]:
    level = "linkerd:workload"
    success = f"({level}_success:rate1m or 0 * {level}_response:rate1m) / {level}_response:rate1m"
    slow = f"histogram_quantile(0.95, {level}_response_latency_ms_bucket:rate1m)"
    return [
        Alert(
            "LinkerdLowSuccessRate",
            f"{success} < 0.95 and {level}_response:rate1m > 0.1",
            "5m",
            f"{_WHO} fails",
            f"Of the requests to {_WHO}, {{{{ $value | humanizePercentage }}}} succeed. "
            "`linkerd2-py stat` and `linkerd2-py routes` show who asks, and for what.",
            "critical",
        ),
        Alert(
            "LinkerdHighLatency",
            f"{slow} > 1000",
            "10m",
            f"{_WHO} is slow",
            f"One of twenty requests to {_WHO} takes more than {{{{ $value | humanize }}}} ms. "
            "`linkerd2-py stat --from` shows whom it waits for.",
        ),
        Alert(
            "LinkerdRequestsDenied",
            _any_of("inbound_http_authz_deny_total", "inbound_tcp_authz_deny_total"),
            "5m",
            f"{_POD} refuses callers",
            f"Policy refuses {{{{ $value | humanize }}}} calls a second to {_POD}. "
            "`linkerd2-py authz` shows who may call.",
        ),
        Alert(
            "LinkerdFailFast",
            _any_of(
                *(f"{family}{_FAIL_FAST}" for family in _OUTBOUND_ERRORS),
            ),
            "2m",
            f"{_POD} finds no endpoint",
            f"{{{{ $value | humanize }}}} requests a second of {_POD} fail at once, for no endpoint "
            "of what they call is available. `linkerd2-py diagnostics endpoints` shows those that are known.",
        ),
    ]


def _any_of(*series: str) -> str:
    """Which pods count one of these now. One after the other, for series of two families may have the same
    labels.
    """
    rates = (f"sum(rate({one}[5m])) by (namespace, pod) > 0" for one in series)
    return " or ".join(rates)


def _of_proxies() -> Sequence[Alert]:
    ends = "control_identity_cert_expiration_timestamp_seconds"
    left, grown = f"{ends} - time()", f"{ends} > 0"
    return [
        Alert(
            "LinkerdProxyDown",
            f'up{{job="{PROXY_JOB}"}} == 0',
            "5m",
            f"the proxy of {_POD} does not answer",
            f"The metrics of {_POD} cannot be read. `linkerd2-py check --proxy` says more.",
            "critical",
        ),
        Alert(
            "LinkerdCertificateExpiresSoon",
            f"{left} < 0.2 * ({ends} - control_identity_cert_refresh_timestamp_seconds) and {grown}",
            "15m",
            f"the certificate of {_POD} ends soon",
            f"The certificate of {_POD} is valid for {{{{ $value | humanizeDuration }}}} more, and should "
            "have been renewed. `linkerd2-py check` says whether identity answers.",
        ),
        Alert(
            "LinkerdCertificateExpired",
            f"{left} <= 0 and {grown}",
            "0m",
            f"the certificate of {_POD} is over",
            f"No meshed pod talks to {_POD} any more. `linkerd2-py identity` shows what it presents.",
            "critical",
        ),
        Alert(
            "LinkerdCertificateNotRenewed",
            'increase(control_identity_cert_refreshes_total{result!="success"}[15m]) > 0',
            "15m",
            f"{_POD} gets no certificate",
            f"Renewals of the certificate of {_POD} fail. See the log of its proxy and of identity.",
        ),
        Alert(
            "LinkerdControlCallsFail",
            'sum(rate(control_response_total{classification="failure"}[5m])) by (namespace, pod) > 0.1',
            "10m",
            f"{_POD} asks the control plane in vain",
            f"Questions of the proxy of {_POD} to the control plane fail {{{{ $value | humanize }}}} times a "
            "second. It works with what it knows; endpoints that are new it does not hear of.",
        ),
        Alert(
            "LinkerdProxyTasksFail",
            f'sum(increase(task_failures_total{{job="{PROXY_JOB}"}}[15m])) by (namespace, pod, task) > 3',
            "0m",
            f"a task of the proxy of {_POD} keeps failing",
            "Task {{ $labels.task }} failed {{ $value | humanize }} times. The log of the proxy has the "
            "reason.",
        ),
        Alert(
            "LinkerdListenerExhausted",
            "sum(increase(listener_exhausted_total[5m])) by (namespace, pod) > 0",
            "5m",
            f"the proxy of {_POD} has no room for connections",
            "A listener pauses for want of descriptors or memory. Raise the limits of the pod.",
        ),
    ]


def _of_control_plane() -> Sequence[Alert]:
    return [
        Alert(
            "LinkerdControlPlaneDown",
            f'up{{job="{CONTROLLER_JOB}"}} == 0',
            "5m",
            "a component of the control plane does not answer",
            "{{ $labels.component }} of {{ $labels.instance }} cannot be read. `linkerd2-py check` says "
            "more.",
            "critical",
        ),
        Alert(
            "LinkerdControlPlaneTasksFail",
            f'sum(increase(task_failures_total{{job="{CONTROLLER_JOB}"}}[15m])) by (component, task) > 3',
            "0m",
            "a task of the control plane keeps failing",
            "Task {{ $labels.task }} of {{ $labels.component }} failed {{ $value | humanize }} times. Its "
            "log has the reason.",
        ),
    ]


def groups() -> dict[str, Any]:
    """The file that Prometheus reads."""
    return {
        "groups": [
            {"name": "linkerd-recorded", "rules": [one.written() for one in recorded()]},
            {"name": "linkerd-alerts", "rules": [one.written() for one in alerts()]},
        ]
    }
