"""A middling cluster: workloads with as many pods each, and a service for each workload."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from linkerd2_py.controlplane.mesh.objects import (
    DEPLOYMENT,
    Endpoint,
    Endpoints,
    EndpointsKey,
    Key,
    Namespace,
    Owner,
    Pod,
    PortSet,
    PortSpec,
    Service,
    Workload,
)
from linkerd2_py.controlplane.mesh.store import MeshStore

NAMESPACE = "bench"
PORT, TARGET_PORT, INBOUND_PORT = 80, 8080, 4143
IDENTITY = "default.bench.serviceaccount.identity.linkerd.cluster.local"


@dataclass(frozen=True, slots=True)
class Size:
    """How many of each there are; services are as many as workloads."""

    workloads: int = 1000
    pods_of_each: int = 10
    streams: int = 5000
    connections: int = 500
    # Connections with one stream each.
    alone: int = 2000
    # Proxy-apis before one destination, each with so many streams.
    relays: int = 10


def filled(size: Size) -> MeshStore:
    """A store that has listed all of it."""
    pods = [
        [_pod(number, replica) for replica in range(size.pods_of_each)]
        for number in range(size.workloads)
    ]
    store = MeshStore()
    store.replace(
        {
            # Of every other kind there is none.
            **dict.fromkeys(store.mesh.unsynced, ()),
            Namespace: [Namespace(NAMESPACE)],
            Workload: [
                Workload(DEPLOYMENT, NAMESPACE, workload_name(at), size.pods_of_each)
                for at in range(size.workloads)
            ],
            Service: [_service(number) for number in range(size.workloads)],
            Pod: [pod for some in pods for pod in some],
            Endpoints: [_endpoints(number, some) for number, some in enumerate(pods)],
        }
    )
    return store


def service_paths(size: Size) -> Iterator[str]:
    """What a proxy asks for each service by."""
    return (
        f"{_service_name(number)}.{NAMESPACE}.svc.cluster.local:{PORT}"
        for number in range(size.workloads)
    )


def pod_paths(size: Size) -> Iterator[str]:
    """The address of one pod of each workload."""
    return (f"{_pod(number, 0).ip}:{TARGET_PORT}" for number in range(size.workloads))


def rolled(store: MeshStore, number: int) -> tuple[Pod, Endpoints]:
    """One pod of a workload, and the Endpoints it is among, when it becomes what it is not: ready
    or unready.
    """
    found = store.mesh.endpoints[EndpointsKey(NAMESPACE, _service_name(number), PORT)]
    ready = not found.endpoints[0].ready
    first = replace(found.endpoints[0], ready=ready)
    pod = replace(_pod(number, 0), ready=ready, restarts=1)
    return pod, replace(found, endpoints=(first, *found.endpoints[1:]))


def _service_name(number: int) -> str:
    return f"service-{number}"


def workload_name(number: int) -> str:
    """Of one of them."""
    return f"workload-{number}"


def _address(number: int, last: int) -> str:
    return f"10.{number // 250}.{number % 250}.{last}"


def _service(number: int) -> Service:
    return Service(
        NAMESPACE,
        _service_name(number),
        (PortSpec("http", PORT, TARGET_PORT),),
        selector={"app": workload_name(number)},
        ips=(f"10.200.{number // 250}.{number % 250 + 1}",),
    )


def _pod(number: int, replica: int) -> Pod:
    return Pod(
        NAMESPACE,
        f"{workload_name(number)}-{replica}",
        owner=Owner(DEPLOYMENT, workload_name(number)),
        ips=(_address(number, replica + 1),),
        labels={"app": workload_name(number)},
        ready=True,
        status="Running",
        meshed=True,
        proxied=PortSet(others=True),
        identity=IDENTITY,
        inbound_port=INBOUND_PORT,
    )


def _endpoints(number: int, pods: list[Pod]) -> Endpoints:
    found = (Endpoint(pod.ip, TARGET_PORT, pod=Key(pod.namespace, pod.name)) for pod in pods)
    return Endpoints(NAMESPACE, _service_name(number), PORT, tuple(found))
