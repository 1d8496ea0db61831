"""What the supervisor of a local mesh says of itself, beside what its pods say: for `check` and `local
status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.local.programs.container import Container
from linkerd2_py.controlplane.local.programs.guarding import Guard
from linkerd2_py.controlplane.local.supervise.fleet import Fleet

CATEGORY: Final = "linkerd-local"


def local_checks(
    *,
    refused_edit: str,
    remarks: Sequence[str],
    fleet: Fleet,
    guard: Guard,
    prometheus: Container | None,
) -> list[CheckResult]:
    """One for each thing that can be wrong; `refused_edit` says why the newest mesh.yaml is not followed,
    `remarks` what of the one that is cannot be as it says.
    """
    further = []
    if prometheus is not None:
        described = "prometheus has run from the start"
        further = [_restarts(described, prometheus.restarts, prometheus.last_exit)]
    return [
        *further,
        _check(
            "mesh.yaml is followed",
            [refused_edit] if refused_edit else [],
            hint="correct the file; until then the last good one stays in force",
        ),
        _remarked("mesh.yaml means here what it says", remarks),
        _check("every pod has a place", fleet.obstacles, hint=""),
        _check(
            "ingress is open",
            fleet.closed_doors,
            hint="see `linkerd2-py local logs ingress-0`",
        ),
        _restarts(
            "ingress has run from the start",
            sum(one.restarts for one in fleet.ingresses),
            next((one.last_exit for one in fleet.ingresses if one.restarts), ""),
        ),
        _restarts("guard has run from the start", guard.restarts, guard.last_exit),
    ]


def _check(description: str, problems: Sequence[str], *, hint: str) -> CheckResult:
    if not problems:
        return CheckResult(description, category=CATEGORY)
    return CheckResult(description, "error", "; ".join(problems), hint, CATEGORY)


def _remarked(description: str, remarks: Sequence[str]) -> CheckResult:
    if not remarks:
        return CheckResult(description, category=CATEGORY)
    return CheckResult(description, "warning", "; ".join(remarks), category=CATEGORY)


def _restarts(description: str, count: int, reason: str) -> CheckResult:
    if not count:
        return CheckResult(description, category=CATEGORY)
    times = "once" if count == 1 else f"{count} times"
    message = f"it was started again {times}: {reason}"
    return CheckResult(description, "warning", message, category=CATEGORY)
