"""All operations of the public API, put together from the parts that answer. Knows no HTTP server."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from linkerd2_py.base.clock import Clock
from linkerd2_py.controlplane.checks.result import CheckResult
from linkerd2_py.controlplane.checks.samples import Problem
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.hunt.changes import ChangedEndpoints
from linkerd2_py.controlplane.hunt.gather import Sources
from linkerd2_py.controlplane.identity.trust import Trust
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.store import MetricsStore, ProxyReports
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.public_api.answers.authorizations import authorizations
from linkerd2_py.controlplane.public_api.answers.certificates import identity
from linkerd2_py.controlplane.public_api.answers.checks import self_check
from linkerd2_py.controlplane.public_api.answers.edges import edges
from linkerd2_py.controlplane.public_api.answers.endpoints import endpoints
from linkerd2_py.controlplane.public_api.answers.history import history
from linkerd2_py.controlplane.public_api.answers.hunt import hunt
from linkerd2_py.controlplane.public_api.answers.pods import pods
from linkerd2_py.controlplane.public_api.answers.routes import routes
from linkerd2_py.controlplane.public_api.answers.services import services
from linkerd2_py.controlplane.public_api.answers.stat import stat
from linkerd2_py.controlplane.public_api.answers.stat_inbound import authz, stat_inbound
from linkerd2_py.controlplane.public_api.answers.stat_outbound import stat_outbound
from linkerd2_py.controlplane.public_api.answers.version import Source, version
from linkerd2_py.controlplane.public_api.answers.workloads import workloads
from linkerd2_py.controlplane.public_api.operation import Operation


@dataclass(frozen=True, slots=True)
class Parts:
    """What answers are made from; `proxy_api_problem` gives "" when proxies are served, and so does
    `prometheus_problem` when samples are asked for somewhere else and that answers.

    `trust` is asked for with every question, for it changes; None in a mesh without identities.
    """

    mesh: Mesh
    destination: Destination
    metrics: MetricsStore
    reports: ProxyReports
    clock: Clock
    proxy_api_problem: Callable[[], Awaitable[str]]
    prometheus_problem: Problem | None = None
    trust: Callable[[], Trust] | None = None
    cluster: Cluster = field(default_factory=Cluster)
    source: Source = "local"
    further_checks: Callable[[], Sequence[CheckResult]] = tuple
    changes: Callable[[], Sequence[ChangedEndpoints]] = tuple


def operations(parts: Parts) -> tuple[Operation[Any], ...]:
    """All of them, in the order of the OpenAPI document."""
    mesh, metrics, reports, clock = parts.mesh, parts.metrics, parts.reports, parts.clock
    return (
        version(parts.source),
        self_check(
            mesh,
            metrics=metrics,
            reports=reports,
            clock=clock,
            proxy_api_problem=parts.proxy_api_problem,
            prometheus_problem=parts.prometheus_problem,
            trust=parts.trust,
            further=parts.further_checks,
        ),
        stat(mesh, metrics=metrics),
        routes(mesh, metrics=metrics),
        stat_inbound(metrics=metrics),
        stat_outbound(metrics=metrics),
        authz(metrics=metrics),
        history(metrics, reports=reports),
        edges(mesh, metrics=metrics),
        pods(mesh, metrics=metrics, reports=reports, clock=clock),
        services(mesh),
        workloads(mesh),
        endpoints(parts.destination),
        identity(mesh, trust=parts.trust),
        authorizations(mesh, cluster=parts.cluster),
        hunt(
            Sources(
                mesh,
                metrics=metrics,
                reports=reports,
                clock=clock,
                trust=parts.trust,
                changes=parts.changes,
                in_cluster=parts.source == "kubernetes",
            )
        ),
    )
