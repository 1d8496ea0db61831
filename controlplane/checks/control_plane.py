"""What the control plane finds when it looks at itself, for `check`."""

from collections.abc import Awaitable, Callable

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.store import MetricsStore, ProxyReports, Report

# A proxy that was not read for so many turns is shown as a problem.
_TURNS_UNTIL_LATE = 5


async def control_plane_checks(
    mesh: Mesh,
    *,
    metrics: MetricsStore,
    reports: ProxyReports,
    clock: Clock,
    proxy_api_problem: Callable[[], Awaitable[str]],
) -> list[CheckResult]:
    """Ask every part that answers for the mesh; `proxy_api_problem` gives "" when proxies are served."""
    return [
        check_mesh(mesh),
        await _check_proxy_api(proxy_api_problem),
        await _check_reports(mesh, metrics=metrics, reports=reports, clock=clock),
    ]


def check_mesh(mesh: Mesh) -> CheckResult:
    """Whether its source has said all there is, and there is something."""
    description = "control plane can read the mesh"
    if mesh.unsynced:
        kinds = ", ".join(kind.__name__ for kind in mesh.unsynced)
        return CheckResult(description, "error", f"not synced: {kinds}")
    if not (mesh.workloads or mesh.pods):
        return CheckResult(description, "warning", "the mesh has no workloads and no pods")
    return CheckResult(description)


async def _check_proxy_api(problem: Callable[[], Awaitable[str]]) -> CheckResult:
    description = "control plane can talk to the proxy-api"
    message = await problem()
    return CheckResult(description, "error", message) if message else CheckResult(description)


async def _check_reports(
    mesh: Mesh, *, metrics: MetricsStore, reports: ProxyReports, clock: Clock
) -> CheckResult:
    description = "control plane can read the metrics of every proxy"
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
        return CheckResult(description)
    return CheckResult(description, "warning", f"not read lately: {', '.join(sorted(late))}")


def _shown(pod: Key) -> str:
    return f"{pod.namespace}/{pod.name}"
