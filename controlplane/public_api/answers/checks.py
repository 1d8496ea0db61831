"""`/api/v1/self-check`: is the control plane well, and what it vouches for."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypedDict

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.checks.control_plane import control_plane_checks
from linkerd2_py.controlplane.checks.leaves import leaf_checks
from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.checks.samples import Problem, samples_checks
from linkerd2_py.controlplane.checks.trust import trust_checks
from linkerd2_py.controlplane.identity.trust import Trust
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.store import MetricsStore, ProxyReports, StoreError
from linkerd2_py.controlplane.public_api.operation import Nothing, Operation


class Check(TypedDict):
    """One line; `status` is ok, warning or error."""

    category: str
    description: str
    status: str
    message: str
    hint: str


class SelfCheck(TypedDict):
    """The answer, in the order in which it is shown."""

    results: list[Check]


def self_check(
    mesh: Mesh,
    *,
    metrics: MetricsStore,
    reports: ProxyReports,
    clock: Clock,
    proxy_api_problem: Callable[[], Awaitable[str]],
    prometheus_problem: Problem | None,
    trust: Callable[[], Trust] | None,
    further: Callable[[], Sequence[CheckResult]],
) -> Operation[Nothing]:
    """The operation. `further` are the checks of whoever fills the mesh: they come last."""

    async def answer(_asked: Nothing) -> SelfCheck:
        results = await control_plane_checks(mesh, proxy_api_problem=proxy_api_problem)
        results += await samples_checks(
            mesh,
            metrics=metrics,
            reports=reports,
            clock=clock,
            prometheus_problem=prometheus_problem,
        )
        if trust:
            found = trust()
            results += trust_checks(found, now=clock.wall())
            # Without samples nothing is known of them, which a line before these has said.
            with contextlib.suppress(StoreError):
                results += await leaf_checks(mesh, metrics=metrics, trust=found, clock=clock)
        return {"results": [_check(result) for result in (*results, *further())]}

    return Operation("/api/v1/self-check", "Is the control plane well", Nothing, SelfCheck, answer)


def _check(result: CheckResult) -> Check:
    return {
        "category": result.category,
        "description": result.description,
        "status": result.status,
        "message": result.message,
        "hint": result.hint,
    }
