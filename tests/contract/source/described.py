"""A mesh as anybody would describe it, neutral of where its objects come from.

A shop of two workloads. `web` has a proxy beside every pod, one of which is not ready; `db` has none. Every
service has addresses of both families; every pod has the label `app` with its workload's name and serves its
ports under their own numbers. Requests to the service `web` have routes.
"""

from dataclasses import dataclass, replace

from linkerd2_py.controlplane.mesh.inbound import NOTHING_SAID
from linkerd2_py.controlplane.mesh.objects import (
    DEPLOYMENT,
    Endpoint,
    Endpoints,
    Key,
    Owner,
    Pod,
    PortSet,
    PortSpec,
    Service,
    Workload,
)
from linkerd2_py.controlplane.mesh.service_profiles import (
    RequestMatch,
    ResponseClass,
    ResponseMatch,
    RetryBudget,
    Route,
    ServiceProfile,
    StatusRange,
)

NAMESPACE = "shop"
# Ports that a proxy leaves to itself: tap and admin.
SKIPPED = frozenset({4190, 4191})
INBOUND_PORT = 4143


@dataclass(frozen=True)
class DescribedService:
    name: str
    workload: str
    ports: tuple[PortSpec, ...]
    ips: tuple[str, ...] = ()


@dataclass(frozen=True)
class DescribedPod:
    name: str
    workload: str
    ips: tuple[str, ...]
    ports: tuple[int, ...]
    ready: bool = True
    identity: str = ""

    @property
    def meshed(self) -> bool:
        return bool(self.identity)


WEB_IDENTITY = "web.shop.serviceaccount.identity.linkerd.cluster.local"
WEB_PORTS = (PortSpec("http", 80, 8080), PortSpec("feed", 90, 9090, opaque=True))
SERVICES = (
    DescribedService("web", "web", WEB_PORTS, ("10.96.0.10", "fd00:96::10")),
    DescribedService("db", "db", (PortSpec("sql", 5432, 5432),), ("10.96.0.11", "fd00:96::11")),
    DescribedService("idle", "nobody", (PortSpec("", 80, 80),), ("10.96.0.12", "fd00:96::12")),
)
PODS = (
    DescribedPod("web-0", "web", ("10.1.0.10", "fd00::10"), (8080, 9090), identity=WEB_IDENTITY),
    DescribedPod("web-1", "web", ("10.1.0.11", "fd00::11"), (8080, 9090), identity=WEB_IDENTITY),
    DescribedPod("web-2", "web", ("10.1.0.12",), (8080, 9090), ready=False, identity=WEB_IDENTITY),
    DescribedPod("db-0", "db", ("10.1.0.20", "fd00::20"), (5432,)),
)
WORKLOADS = {"web": 3, "db": 1}
PROFILE = ServiceProfile(
    NAMESPACE,
    f"web.{NAMESPACE}.svc.cluster.local",
    routes=(
        Route(
            "GET /books",
            RequestMatch(all=(RequestMatch(method="GET"), RequestMatch(path="/books/[^/]*"))),
            (ResponseClass(ResponseMatch(status=StatusRange(500, 599)), is_failure=True),),
            is_retryable=True,
            timeout_s=0.3,
        ),
        Route("others", RequestMatch(inverse=RequestMatch(path="/private.*"))),
    ),
    budget=RetryBudget(0.5, 5, 20.0),
)


def service(described: DescribedService) -> Service:
    labels = {"app": described.workload}
    return Service(NAMESPACE, described.name, described.ports, labels, described.ips, labels=labels)


def workload(name: str) -> Workload:
    meshed = any(pod.meshed for pod in PODS if pod.workload == name)
    return Workload(DEPLOYMENT, NAMESPACE, name, WORKLOADS[name], meshed, {"app": name})


def pod(described: DescribedPod) -> Pod:
    return Pod(
        NAMESPACE,
        described.name,
        Owner(DEPLOYMENT, described.workload),
        described.ips,
        {"app": described.workload},
        ready=described.ready,
        status="Running",
        service_account=described.workload,
        meshed=described.meshed,
        proxied=PortSet(SKIPPED, others=True) if described.meshed else PortSet(),
        identity=described.identity,
        inbound_port=INBOUND_PORT if described.meshed else 0,
        opaque_ports=frozenset({9090}) if described.workload == "web" else frozenset(),
    )


def as_anybody_knows(pod: Pod) -> Pod:
    """Without what one source alone says of pods."""
    labels = {name: value for name, value in pod.labels.items() if name == "app"}
    return replace(
        pod,
        labels=labels,
        admin_addr=None,
        admin_ports=frozenset(),
        control_plane="linkerd",
        inbound=NOTHING_SAID,
    )


def endpoints(described: DescribedService, spec: PortSpec) -> Endpoints:
    found = tuple(
        Endpoint(ip, int(spec.target_port), one.ready, Key(NAMESPACE, one.name), one.name)
        for one in PODS
        if one.workload == described.workload
        for ip in one.ips
    )
    return Endpoints(NAMESPACE, described.name, spec.port, found)
