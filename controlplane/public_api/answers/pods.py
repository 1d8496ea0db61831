"""`/api/v1/pods`: the pods of the mesh, and how their proxies are."""

import contextlib
from typing import TypedDict

from linkerd2_py.base.clock import Clock
from linkerd2_py.base.names import LABEL_NAMESPACE, LABEL_POD
from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Key, Pod
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.metrics.families import BUILD, STARTED
from linkerd2_py.controlplane.metrics.store import (
    MetricsStore,
    ProxyReports,
    Report,
    Selection,
    StoreError,
)
from linkerd2_py.controlplane.public_api.answers.common import OfNamespace
from linkerd2_py.controlplane.public_api.kinds import short_name
from linkerd2_py.controlplane.public_api.operation import Operation

_POD_LABELS = (LABEL_NAMESPACE, LABEL_POD)


class ListedPod(TypedDict):
    """One pod; times are null where nothing is known to have happened."""

    kind: str
    namespace: str
    name: str
    labels: dict[str, str]
    owner: str
    status: str
    ready: bool
    meshed: bool
    proxy_ready: bool
    proxy_version: str
    ip: str
    ip6: str
    identity: str
    admin_addr: str | None
    uptime_s: float | None
    since_last_report_s: float | None
    restarts: int
    problem: str
    last_exit: str
    since_last_exit_s: float | None


class Pods(TypedDict):
    """The answer, by namespace and name."""

    pods: list[ListedPod]


def pods(
    mesh: Mesh, *, metrics: MetricsStore, reports: ProxyReports, clock: Clock
) -> Operation[OfNamespace]:
    """The operation."""

    async def answer(asked: OfNamespace) -> Pods:
        proxies = await _Proxies.read(metrics, reports=reports, clock=clock)
        wanted = sorted(item for item in mesh.pods.items() if asked.has(item[0].namespace))
        return {"pods": [proxies.listed(pod) async for _, pod in in_slices(wanted)]}

    return Operation("/api/v1/pods", "The pods of the mesh", OfNamespace, Pods, answer)


class _Proxies:
    """What all proxies say, at one moment."""

    def __init__(self, *, wall: float, now_s: float) -> None:
        self._wall = wall
        self._now_s = now_s
        self._started: dict[Key, float] = {}
        self._versions: dict[Key, str] = {}
        self._reports: dict[Key, Report] = {}

    @classmethod
    async def read(
        cls, metrics: MetricsStore, *, reports: ProxyReports, clock: Clock
    ) -> "_Proxies":
        found = cls(wall=clock.wall(), now_s=metrics.now_ms() / 1000)
        # Pods are there without their samples, too; the self-check says that these cannot be had.
        with contextlib.suppress(StoreError):
            await found._ask(metrics, reports=reports)
        return found

    async def _ask(self, metrics: MetricsStore, *, reports: ProxyReports) -> None:
        now_ms = metrics.now_ms()
        started = await metrics.latest(
            STARTED, selection=Selection(group_by=_POD_LABELS), at_ms=now_ms
        )
        builds = await metrics.latest(
            BUILD, selection=Selection(group_by=(*_POD_LABELS, "version")), at_ms=now_ms
        )
        self._started = {Key(*group): seconds for group, seconds in started.items()}
        for namespace, name, version in builds:
            self._versions.setdefault(Key(namespace, name), version)
        self._reports = dict(await reports.reports())

    def listed(self, pod: Pod) -> ListedPod:
        report = self._reports.get(pod.key, Report())
        started, last = self._started.get(pod.key, pod.started), report.last_success
        return {
            "kind": "pod",
            "namespace": pod.namespace,
            "name": pod.name,
            "labels": dict(pod.labels),
            "owner": f"{short_name(pod.owner.kind)}/{pod.owner.name}" if pod.owner else "",
            "status": pod.status,
            "ready": pod.ready,
            "meshed": pod.meshed,
            "proxy_ready": last is not None and not report.failure,
            "proxy_version": self._versions.get(pod.key, ""),
            "ip": pod.ip,
            "ip6": pod.ip6,
            "identity": pod.identity,
            "admin_addr": pod.admin_addr,
            "uptime_s": max(0.0, self._wall - started) if started else None,
            "since_last_report_s": max(0.0, self._now_s - last) if last is not None else None,
            "restarts": pod.restarts,
            "problem": "" if pod.ready else pod.problem,
            "last_exit": pod.last_exit,
            "since_last_exit_s": max(0.0, self._wall - pod.last_exit_at) if pod.last_exit else None,
        }
