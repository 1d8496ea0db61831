"""What the control plane finds when it looks at itself, for `check`."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Literal

from linkerd2_py.controlplane.mesh.objects import Key, Mesh
from linkerd2_py.controlplane.metrics.embedded.scraper import Report, Scraper
from linkerd2_py.controlplane.public_api.moment import Moment

Status = Literal["ok", "warning", "error"]

CATEGORY = "linkerd-api"
# A proxy that was not read for so many turns is shown as a problem.
_TURNS_UNTIL_LATE = 5


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the check; `message` and `hint`, what to do, are empty when all is well."""

    description: str
    status: Status = "ok"
    message: str = ""
    hint: str = ""
    category: str = CATEGORY

    def as_json(self) -> dict[str, str]:
        """An entry of `/api/v1/self-check`."""
        return asdict(self)


async def self_check(
    *, mesh: Mesh, scraper: Scraper, now: Moment, proxy_api_problem: Callable[[], Awaitable[str]]
) -> list[CheckResult]:
    """Ask every part that answers for the mesh; `proxy_api_problem` gives "" when proxies are served."""
    return [
        _check_mesh(mesh),
        await _check_proxy_api(proxy_api_problem),
        _check_scraper(mesh, scraper=scraper, now=now),
    ]


def _check_mesh(mesh: Mesh) -> CheckResult:
    description = "control plane can read the mesh"
    if not mesh.deployments:
        return CheckResult(description, "warning", "the mesh has no workloads")
    return CheckResult(description)


async def _check_proxy_api(problem: Callable[[], Awaitable[str]]) -> CheckResult:
    description = "control plane can talk to the proxy-api"
    message = await problem()
    return CheckResult(description, "error", message) if message else CheckResult(description)


def _check_scraper(mesh: Mesh, *, scraper: Scraper, now: Moment) -> CheckResult:
    description = "control plane can read the metrics of every proxy"
    good_until_s = _TURNS_UNTIL_LATE * scraper.interval_s
    late = [
        _shown(pod)
        for pod, report in scraper.reports.items()
        if _unread_s(report, pod=pod, mesh=mesh, now=now) > good_until_s
    ]
    if not late:
        return CheckResult(description)
    return CheckResult(description, "warning", f"not read lately: {', '.join(sorted(late))}")


def _unread_s(report: Report, *, pod: Key, mesh: Mesh, now: Moment) -> float:
    """For how long a pod was not read; one that is new could not have been."""
    if report.last_success is not None:
        return now.at_ms / 1000 - report.last_success
    found = mesh.pods.get(pod)
    return now.wall - (found.started if found else 0.0)


def _shown(pod: Key) -> str:
    return f"{pod.namespace}/{pod.name}"
