"""The dashboards: of the whole mesh, of a namespace, of each kind of workload, of pods, services,
authorities and routes, of policy, of proxies and of the control plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from linkerd2_py.charts.observe.dashboards.golden import (
    NOT_ADMIN,
    WINDOW,
    connections,
    figures,
    golden,
    latency,
    success,
)
from linkerd2_py.charts.observe.dashboards.language import Dashboard, Panel, Query, Row, Variable
from linkerd2_py.charts.observe.scraping import CONTROLLER_JOB, PROXY_JOB

KINDS: Final = (
    *("deployment", "statefulset", "daemonset", "replicaset", "replicationcontroller"),
    *("cronjob", "k8s_job"),
)
_NAMES: Final = {"k8s_job": "job", "replicationcontroller": "replicationcontroller"}
_STARTED: Final = "process_start_time_seconds"
_PROXIES: Final = f'{_STARTED}{{job="{PROXY_JOB}"}}'
_NAMESPACE: Final = Variable("namespace", _PROXIES, "namespace")
_HERE: Final = 'namespace="$namespace"'
_INBOUND: Final = f'direction="inbound", {NOT_ADMIN}'
_OF_POLICY: Final = "routes of a policy for what is called"
_REFUSED: Final = "policies that refuse callers"


def dashboards() -> Sequence[Dashboard]:
    """All of them."""
    return [
        _top_line(),
        _namespace(),
        *map(_workload, KINDS),
        _pod(),
        _service(),
        _authority(),
        _route(),
        _policy(),
        _proxies(),
        _control_plane(),
    ]


def _top_line() -> Dashboard:
    everything = _INBOUND
    by = "namespace"
    return Dashboard(
        "top-line",
        "Linkerd Top Line",
        (
            Row("The mesh", figures(everything)),
            Row(
                "What there is",
                (
                    Panel("Namespaces", [Query(_counted("namespace"))], kind="stat"),
                    Panel("Deployments", [Query(_counted("namespace, deployment"))], kind="stat"),
                    Panel("Pods", [Query(_counted("namespace, pod"))], kind="stat"),
                ),
            ),
            Row("By namespace", golden(everything, by=by, legend="{{namespace}}")),
            Row(
                "Worst deployments",
                (
                    _worst(
                        "Success rate",
                        f"bottomk(10, {success(everything, by='namespace, deployment')})",
                        "percentunit",
                    ),
                    _worst(
                        "Latency p95",
                        f"topk(10, {latency(0.95, everything, by='namespace, deployment')})",
                        "ms",
                    ),
                ),
            ),
        ),
        description="All meshed workloads, as their own proxies see requests arrive.",
    )


def _counted(by: str) -> str:
    return f"count(count({_PROXIES}) by ({by}))"


def _worst(title: str, expression: str, unit: str) -> Panel:
    return Panel(title, [Query(expression)], unit, "table", 12)


def _namespace() -> Dashboard:
    series = f"{_INBOUND}, {_HERE}"
    return Dashboard(
        "namespace",
        "Linkerd Namespace",
        (
            Row("Requests that arrive", figures(series)),
            Row("By deployment", golden(series, by="deployment", legend="{{deployment}}")),
            Row("By pod", golden(series, by="pod", legend="{{pod}}"), collapsed=True),
            Row(
                "What its workloads call",
                golden(
                    f'direction="outbound", {_HERE}',
                    by="dst_namespace, dst_service",
                    legend="{{dst_service}}.{{dst_namespace}}",
                ),
            ),
            connections(_HERE, direction="inbound", peer="src"),
        ),
        (_NAMESPACE,),
    )


def _workload(kind: str) -> Dashboard:
    name = _NAMES.get(kind, kind)
    own = f'{_HERE}, {kind}="${name}"'
    dst = f'direction="outbound", dst_namespace="$namespace", dst_{kind}="${name}"'
    out = f'direction="outbound", {own}'
    clients = "namespace, deployment, statefulset, daemonset, k8s_job, cronjob"
    legend = "{{deployment}}{{statefulset}}{{daemonset}}{{k8s_job}}{{cronjob}}.{{namespace}}"
    return Dashboard(
        name,
        f"Linkerd {name.capitalize()}",
        (
            Row("Requests that arrive", figures(f"{_INBOUND}, {own}")),
            Row("All its pods", golden(f"{_INBOUND}, {own}")),
            Row("By pod", golden(f"{_INBOUND}, {own}", by="pod", legend="{{pod}}"), collapsed=True),
            Row("Who calls it", golden(dst, by=clients, legend=legend)),
            Row("What it calls", golden(out, by="authority", legend="{{authority}}")),
            connections(own, direction="inbound", peer="src"),
            connections(own, direction="outbound", peer="dst"),
        ),
        (_NAMESPACE, Variable(name, f"{_STARTED}{{{_HERE}}}", kind)),
    )


def _pod() -> Dashboard:
    own = f'{_HERE}, pod="$pod"'
    out = f'direction="outbound", {own}'
    return Dashboard(
        "pod",
        "Linkerd Pod",
        (
            Row("Requests that arrive", figures(f"{_INBOUND}, {own}")),
            Row("All of them", golden(f"{_INBOUND}, {own}")),
            Row(
                "Who calls it, as whom",
                golden(f"{_INBOUND}, {own}", by="client_id", legend="{{client_id}}"),
            ),
            Row("What it calls", golden(out, by="authority", legend="{{authority}}")),
            Row(
                "Endpoints that it calls",
                golden(out, by="dst_pod", legend="{{dst_pod}}"),
                collapsed=True,
            ),
            connections(own, direction="inbound", peer="src"),
            connections(own, direction="outbound", peer="dst"),
        ),
        (_NAMESPACE, Variable("pod", f"{_STARTED}{{{_HERE}}}", "pod")),
    )


def _service() -> Dashboard:
    series = 'direction="outbound", dst_namespace="$namespace", dst_service="$service"'
    called = 'request_total{direction="outbound", dst_service!=""}'
    there = 'request_total{dst_namespace="$namespace"}'
    return Dashboard(
        "service",
        "Linkerd Service",
        (
            Row("Requests to it", figures(series)),
            Row("As its clients see it", golden(series)),
            Row(
                "By client",
                golden(series, by="namespace, deployment", legend="{{deployment}}.{{namespace}}"),
            ),
            Row("By endpoint", golden(series, by="dst_pod", legend="{{dst_pod}}")),
        ),
        (
            Variable("namespace", called, "dst_namespace"),
            Variable("service", there, "dst_service"),
        ),
    )


def _authority() -> Dashboard:
    series = 'direction="outbound", authority="$authority"'
    return Dashboard(
        "authority",
        "Linkerd Authority",
        (
            Row("Requests to it", figures(series)),
            Row("As its clients see it", golden(series)),
            Row(
                "By client",
                golden(series, by="namespace, deployment", legend="{{deployment}}.{{namespace}}"),
            ),
            Row("By endpoint", golden(series, by="dst_pod", legend="{{dst_pod}}")),
        ),
        (
            Variable("namespace", _PROXIES, "namespace"),
            Variable("authority", f'request_total{{direction="outbound", {_HERE}}}', "authority"),
        ),
    )


def _route() -> Dashboard:
    series = f'direction="outbound", {_HERE}, deployment="$deployment"'
    named = f'{series}, rt_route!=""'
    route = "dst, rt_route"
    legend = "{{rt_route}} of {{dst}}"
    http, grpc = (f"outbound_{protocol}_route" for protocol in ("http", "grpc"))
    of_policy = f'{_HERE}, deployment="$deployment"'
    by = "parent_name, route_kind, route_name"
    shown = "{{route_name}} of {{parent_name}}"
    return Dashboard(
        "route",
        "Linkerd Route",
        (
            Row(
                "Routes of ServiceProfiles",
                golden(named, by=route, legend=legend, prefix="route_"),
            ),
            Row(
                "Routes of policies",
                (
                    Panel(
                        "Requests by status",
                        [
                            Query(
                                _rates(
                                    f"{http}_request_statuses_total",
                                    of_policy,
                                    by=f"{by}, http_status, error",
                                ),
                                f"{shown} {{{{http_status}}}}{{{{error}}}}",
                            ),
                            Query(
                                _rates(
                                    f"{grpc}_request_statuses_total",
                                    of_policy,
                                    by=f"{by}, grpc_status, error",
                                ),
                                f"{shown} {{{{grpc_status}}}}{{{{error}}}}",
                            ),
                        ],
                        "reqps",
                        needs=_OF_POLICY,
                    ),
                    Panel(
                        "Duration, p95",
                        [
                            Query(
                                "histogram_quantile(0.95, "
                                + _rates(
                                    f"{one}_request_duration_seconds_bucket",
                                    of_policy,
                                    by=f"le, {by}",
                                )
                                + ")",
                                shown,
                            )
                            for one in (http, grpc)
                        ],
                        "s",
                        needs=_OF_POLICY,
                    ),
                    Panel(
                        "Retries",
                        [
                            Query(
                                _rates(f"{one}_retry_requests_total", of_policy, by=by),
                                shown,
                            )
                            for one in (http, grpc)
                        ],
                        "ops",
                        needs="routes of a policy with retries",
                    ),
                ),
            ),
        ),
        (_NAMESPACE, Variable("deployment", f"{_STARTED}{{{_HERE}}}", "deployment")),
    )


def _rates(family: str, series: str, *, by: str) -> str:
    return f"sum(rate({family}{{{series}}}{WINDOW})) by ({by})"


def _policy() -> Dashboard:
    who = "pod, srv_name, authz_kind, authz_name"
    legend = "{{pod}} {{srv_name}} {{authz_kind}}/{{authz_name}}"
    denied = "pod, srv_name, client_id"

    def panel(title: str, family: str, *, by: str, called: str, needs: str = "") -> Panel:
        return Panel(
            title, [Query(_rates(family, _HERE, by=by), called)], "ops", width=12, needs=needs
        )

    refused = "{{pod}} {{srv_name}} {{client_id}}"
    return Dashboard(
        "policy",
        "Linkerd Policy",
        (
            Row(
                "Who is let in",
                (
                    panel("Requests", "inbound_http_authz_allow_total", by=who, called=legend),
                    panel(
                        "Connections",
                        "inbound_tcp_authz_allow_total",
                        by=who,
                        called=legend,
                        needs="opaque connections",
                    ),
                ),
            ),
            Row(
                "Who is refused",
                (
                    panel(
                        "Requests",
                        "inbound_http_authz_deny_total",
                        by=denied,
                        called=refused,
                        needs=_REFUSED,
                    ),
                    panel(
                        "Connections",
                        "inbound_tcp_authz_deny_total",
                        by=denied,
                        called=refused,
                        needs=_REFUSED,
                    ),
                    panel(
                        "Connections that were ended",
                        "inbound_tcp_authz_terminate_total",
                        by=denied,
                        called=refused,
                        needs="policies that change under open connections",
                    ),
                    panel(
                        "No route",
                        "inbound_http_route_not_found_total",
                        by="pod, srv_name",
                        called="{{pod}} {{srv_name}}",
                        needs="inbound routes that none of the requests is of",
                    ),
                ),
            ),
        ),
        (_NAMESPACE,),
    )


def _proxies() -> Dashboard:
    own = f'job="{PROXY_JOB}", {_HERE}, pod=~"$pod"'

    def by_pod(title: str, expression: str, unit: str = "short", *, needs: str = "") -> Panel:
        return Panel(title, [Query(expression, "{{pod}}")], unit, needs=needs)

    ends = "control_identity_cert_expiration_timestamp_seconds"
    return Dashboard(
        "proxy",
        "Linkerd Proxies",
        (
            Row(
                "Now",
                (
                    Panel("Do not answer", [Query(f"sum(1 - up{{{own}}})")], kind="stat"),
                    Panel(
                        "First certificate to end",
                        [Query(f"min({ends}{{{own}}} - time() > 0)")],
                        "s",
                        "stat",
                        needs="identities",
                    ),
                    Panel(
                        "Versions",
                        [
                            Query(
                                f"count(proxy_build_info{{{own}}}) by (version)",
                                "{{version}}",
                            )
                        ],
                        kind="stat",
                    ),
                ),
            ),
            Row(
                "Processes",
                (
                    by_pod("Processors", f"rate(process_cpu_seconds_total{{{own}}}{WINDOW})"),
                    by_pod("Memory", f"process_resident_memory_bytes{{{own}}}", "bytes"),
                    by_pod("Descriptors", f"process_open_fds{{{own}}}"),
                    by_pod("Running for", f"time() - {_STARTED}{{{own}}}", "s"),
                    by_pod("Certificate ends in", f"{ends}{{{own}}} - time()", "s"),
                    by_pod("Series", f"scrape_samples_scraped{{{own}}}"),
                ),
            ),
            Row(
                "Questions to the control plane",
                golden(
                    own, by="pod", legend="{{pod}}", prefix="control_",
                    needs="questions that end: most are streams",
                ),
            ),
            Row(
                "Trouble",
                (
                    by_pod(
                        "Failures of tasks",
                        _rates("task_failures_total", own, by="pod, task"),
                        needs="tasks that fail",
                    ),
                    by_pod("Listeners that pause", _rates("listener_exhausted_total", own, by="pod")),
                ),
            ),
            _errors(own),
            _balancers(own),
        ),
        (
            _NAMESPACE,
            Variable("pod", f"{_STARTED}{{{_HERE}}}", "pod", all_of_them=True),
        ),
    )  # fmt: skip


def _errors(own: str) -> Row:
    """What proxies cannot serve, by reason, and what they cannot tell."""

    def panel(title: str, *families: str, needs: str) -> Panel:
        by = "pod, error"
        queries = [Query(_rates(family, own, by=by), "{{pod}} {{error}}") for family in families]
        return Panel(title, queries, "ops", needs=needs)

    fails = "requests that fail at the proxy"
    gives_up = "connections that the proxy gives up"
    late = 'result=~"read_timeout|error"'
    undetected = [
        Query(
            _rates(
                f"{direction}_tcp_detect_http_results_total", f"{late}, {own}", by="pod, result"
            ),
            f"{{{{pod}}}} {direction} {{{{result}}}}",
        )
        for direction in ("inbound", "outbound")
    ]
    return Row(
        "Errors",
        (
            panel("Outbound requests", "outbound_http_errors_total", needs=fails),
            panel("Inbound requests", "inbound_http_errors_total", needs=fails),
            panel(
                "Connections",
                "outbound_tcp_errors_total",
                "inbound_tcp_errors_total",
                needs=gives_up,
            ),
            Panel("Protocols that are not found out", undetected, "ops"),
        ),
    )


def _balancers(own: str) -> Row:
    """Of what proxies choose among, by service."""
    by = "parent_namespace, parent_name, parent_port"
    shown = "{{parent_name}}:{{parent_port}}"
    http = "outbound_http_balancer"
    tcp = "outbound_tcp_balancer"
    named = 'parent_kind="Service"'

    def levels(name: str, more: str = "") -> list[Query]:
        label = "{{endpoint_state}}" if name == "endpoints" else ""
        of = f"{by}, endpoint_state" if label else by
        return [
            Query(
                f"sum({one}_{name}{{{named}, {own}}}) by ({of})", f"{shown} {label}{more}".strip()
            )
            for one in (http, tcp)
        ]

    latencies = _rates(f"{http}_queue_latency_seconds_bucket", own, by=f"le, {by}")
    waits = [Query(f"histogram_quantile(0.95, {latencies})", shown)]
    return Row(
        "Balancers",
        (
            Panel("Endpoints", levels("endpoints")),
            Panel("Requests that wait", levels("queue_length")),
            Panel(
                "How long they wait, p95", waits, "s", needs="requests that find no endpoint ready"
            ),
            Panel(
                "Gates that shut",
                [
                    Query(_rates(f"{one}_queue_gate_shut_total", own, by=by), shown)
                    for one in (http, tcp)
                ],
                "ops",
            ),
        ),
    )


def _control_plane() -> Dashboard:
    own = f'job="{CONTROLLER_JOB}", component=~"$component"'

    def panel(title: str, family: str, by: str, *, unit: str = "short", needs: str = "") -> Panel:
        legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
        return Panel(title, [Query(family, legend)], unit, needs=needs)

    subscribers = " or ".join(
        f'label_replace(sum({one}_subscribers{{{own}}}) by (component), "of", "{one}", "", "")'
        for one in ("endpoint", "profile", "inbound_policy", "outbound_policy")
    )
    return Dashboard(
        "health",
        "Linkerd Health",
        (
            Row(
                "Now",
                (
                    Panel(
                        "Do not answer",
                        [Query(f"sum(1 - up{{{own}}})")],
                        kind="stat",
                    ),
                    Panel(
                        "Proxies that do not answer",
                        [Query(f'sum(1 - up{{job="{PROXY_JOB}"}})')],
                        kind="stat",
                    ),
                    Panel(
                        "Issuer's certificate ends in",
                        [Query("min(issuer_cert_ttl_seconds)")],
                        "s",
                        "stat",
                        needs="identities",
                    ),
                ),
            ),
            Row(
                "What proxies ask",
                (
                    panel("Open streams", subscribers, "component, of"),
                    panel(
                        "Calls",
                        _rates("grpc_server_handled_total", own, by="grpc_method, grpc_code"),
                        "grpc_method, grpc_code",
                        unit="ops",
                    ),
                    panel(
                        "Certificates",
                        _rates("identity_certify_total", own, by="component"),
                        "component",
                        unit="ops",
                        needs="identities",
                    ),
                ),
            ),
            Row(
                "Trouble",
                (
                    panel(
                        "Failures of tasks",
                        _rates("task_failures_total", own, by="component, task"),
                        "component, task",
                    ),
                    panel(
                        "Streams ended for slow readers",
                        _rates(
                            "endpoint_updates_queue_overflow_total", own, by="component"
                        ),
                        "component",
                    ),
                    panel("Time to scrape", f"scrape_duration_seconds{{{own}}}", "component", unit="s"),
                ),
            ),
            Row(
                "Proxies in front of it",
                golden(
                    f'{_INBOUND}, namespace="$controller"', by="deployment", legend="{{deployment}}",
                    needs="a control plane that is meshed",
                ),
            ),
        ),
        (
            Variable("component", f'up{{job="{CONTROLLER_JOB}"}}', "component", all_of_them=True),
            Variable("controller", f'up{{job="{CONTROLLER_JOB}"}}', "namespace"),
        ),
    )  # fmt: skip
