"""Which pods serve a target now: the set that `Get` streams describe."""

from collections.abc import Iterable
from dataclasses import dataclass

from linkerd2_py.controlplane.destination.targets import ServiceTarget
from linkerd2_py.controlplane.destination.topics import Topic, pods_topic, service_topic
from linkerd2_py.controlplane.mesh.objects import Key, Mesh, Pod, PortSpec


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One pod's address for one port, with what a peer must know to talk to it.

    A `meshed` pod has a proxy; `proxied` says that the proxy is what answers on this port. Only then are there an
    `identity`, which it proves (empty: it has none), and an `inbound_port`, where it takes any of its ports by a header
    (0: nowhere).
    """

    ip: str
    port: int
    namespace: str
    pod: str
    deployment: str
    service_account: str
    meshed: bool
    proxied: bool
    opaque: bool
    identity: str = ""
    inbound_port: int = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where peers connect."""
        return self.ip, self.port


@dataclass(frozen=True, slots=True)
class EndpointSet:
    """All ready endpoints of a target; `exists` is false when there is no such service."""

    exists: bool
    endpoints: frozenset[Endpoint]
    depends_on: frozenset[Topic]


def resolve(target: ServiceTarget, *, mesh: Mesh) -> EndpointSet:
    """The endpoints of a service port. A port that is not declared is used as the pods' own number."""
    service = mesh.services.get(target.service)
    if service is None:
        topics = frozenset({service_topic(target.service)})
        return EndpointSet(exists=False, endpoints=frozenset(), depends_on=topics)
    workload = Key(service.namespace, service.workload)
    spec = service.port(target.port) or PortSpec("", target.port, target.port)
    pods = mesh.pods_of(workload)
    if target.instance:
        pods = (pod for pod in pods if pod.name == target.instance)
    return EndpointSet(
        exists=True,
        endpoints=frozenset(_serving(pods, spec=spec)),
        depends_on=frozenset({service_topic(target.service), pods_topic(workload)}),
    )


def endpoint_of(pod: Pod, *, ip: str, port: int, opaque: bool) -> Endpoint:
    """The pod as an endpoint: one of its addresses, and the port that peers connect to."""
    proxied = pod.proxied(port)
    return Endpoint(
        ip=ip,
        port=port,
        namespace=pod.namespace,
        pod=pod.name,
        deployment=pod.workload,
        service_account=pod.service_account,
        meshed=pod.meshed,
        proxied=proxied,
        opaque=opaque,
        # Where the program itself answers, nobody could prove who it is.
        identity=pod.identity if proxied else "",
        inbound_port=pod.inbound_port if proxied else 0,
    )


def _serving(pods: Iterable[Pod], *, spec: PortSpec) -> Iterable[Endpoint]:
    for pod in pods:
        port = pod.ports.get(spec.target_port)
        if pod.serving and port is not None:
            yield endpoint_of(pod, ip=pod.ip, port=port, opaque=spec.opaque)
