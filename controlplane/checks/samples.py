"""Can samples of the proxies be asked for, and does every proxy give some: of the embedded store a line of
`linkerd-api`, of a Prometheus a category of its own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.store import (
    MetricsStore,
    ProxyReports,
    Report,
    StoreError,
)

PROMETHEUS = "linkerd-prometheus"
Problem = Callable[[], Awaitable[str]]
"""Gives "" when the Prometheus answers."""
# A proxy that was not read for so many turns is shown as a problem.
_TURNS_UNTIL_LATE = 5
_START_IT = "start it, or say where it is: --prometheus-url of local up, prometheusUrl of the chart's values"


async def samples_checks(
    mesh: Mesh,
    *,
    metrics: MetricsStore,
    reports: ProxyReports,
    clock: Clock,
    prometheus_problem: Problem | None,
) -> list[CheckResult]:
    """Of the store in use; `prometheus_problem` is None where that is this process's own."""
    check_reports = partial(_check_reports, mesh, metrics=metrics, reports=reports, clock=clock)
    if prometheus_problem is None:
        return [
            await check_reports(CheckResult("control plane can read the metrics of every proxy"))
        ]
    answers, why = "Prometheus can be asked", await prometheus_problem()
    if why:
        return [CheckResult(answers, "error", why, _START_IT, PROMETHEUS)]
    asked = CheckResult(answers, category=PROMETHEUS)
    scrapes = CheckResult("Prometheus can scrape every proxy", category=PROMETHEUS)
    try:
        return [asked, await check_reports(scrapes)]
    except StoreError as error:
        # It went away since.
        return [CheckResult(answers, "error", str(error), _START_IT, PROMETHEUS)]


async def _check_reports(
    mesh: Mesh,
    well: CheckResult,
    *,
    metrics: MetricsStore,
    reports: ProxyReports,
    clock: Clock,
) -> CheckResult:
    good_until_s = _TURNS_UNTIL_LATE * reports.interval_s
    found, now_s, wall = await reports.reports(), metrics.now_ms() / 1000, clock.wall()

    def unread_s(pod: Key, report: Report) -> float:
        """For how long a pod was not read; one that is new could not have been."""
        if report.last_success is not None:
            return now_s - report.last_success
        known = mesh.pods.get(pod)
        return wall - (known.started if known else 0.0)

    late = [_shown(pod) for pod, report in found.items() if unread_s(pod, report) > good_until_s]
    if not late:
        return well
    return replace(well, status="warning", message=f"not read lately: {', '.join(sorted(late))}")


def _shown(pod: Key) -> str:
    return f"{pod.namespace}/{pod.name}"
