"""Who serves a target now: the set that `Get` streams describe."""

from collections.abc import Iterator
from dataclasses import dataclass

from linkerd2_py.controlplane.destination.targets import ServiceTarget
from linkerd2_py.controlplane.destination.topics import endpoints_topic, service_topic
from linkerd2_py.controlplane.mesh.objects import Endpoint, EndpointsKey, Owner, Pod
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.streams.topics import Topic


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """One address and port, with what a peer must know to talk to it. No `pod` is known where something else
    serves.

    A `meshed` pod has a proxy; `proxied` says that the proxy is what answers on this port. Only then are
    there an `identity`, which it proves (empty: it has none), and an `inbound_port`, where it takes any of
    its ports by a header (0: nowhere).
    """

    ip: str
    port: int
    opaque: bool
    namespace: str = ""
    pod: str = ""
    owner: Owner | None = None
    service_account: str = ""
    meshed: bool = False
    proxied: bool = False
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
    endpoints: frozenset[EndpointFacts]
    depends_on: frozenset[Topic]


def resolve(target: ServiceTarget, *, mesh: Mesh) -> EndpointSet:
    """The endpoints of a service port, or those of one instance. A port that is not declared has those that a
    source gives it.
    """
    service = mesh.services.get(target.service)
    if service is None:
        topics = frozenset({service_topic(target.service)})
        return EndpointSet(exists=False, endpoints=frozenset(), depends_on=topics)
    key = EndpointsKey(*target.service, target.port)
    spec = service.port(target.port)
    opaque = spec is not None and spec.opaque
    return EndpointSet(
        exists=True,
        endpoints=frozenset(_ready(key, instance=target.instance, opaque=opaque, mesh=mesh)),
        depends_on=frozenset({service_topic(target.service), endpoints_topic(key)}),
    )


def facts_of(pod: Pod, *, ip: str, port: int, opaque: bool) -> EndpointFacts:
    """The pod as an endpoint: one of its addresses, and the port that peers connect to."""
    proxied = port in pod.proxied
    return EndpointFacts(
        ip=ip,
        port=port,
        opaque=opaque,
        namespace=pod.namespace,
        pod=pod.name,
        owner=pod.owner,
        service_account=pod.service_account,
        meshed=pod.meshed,
        proxied=proxied,
        # Where the program itself answers, nobody could prove who it is.
        identity=pod.identity if proxied else "",
        inbound_port=pod.inbound_port if proxied else 0,
    )


def _ready(
    key: EndpointsKey, *, instance: str, opaque: bool, mesh: Mesh
) -> Iterator[EndpointFacts]:
    found = mesh.endpoints.get(key)
    for endpoint in found.endpoints if found else ():
        if endpoint.ready and instance in {"", endpoint.hostname}:
            yield from _facts(endpoint, opaque=opaque, mesh=mesh)


def _facts(endpoint: Endpoint, *, opaque: bool, mesh: Mesh) -> Iterator[EndpointFacts]:
    """None for a pod that is named before it is known, and for its second address: it is one endpoint, at its
    own.
    """
    ip, port = endpoint.ip, endpoint.port
    if endpoint.pod is None:
        yield EndpointFacts(ip, port, opaque)
        return
    pod = mesh.pods.get(endpoint.pod)
    if pod is not None and ip == pod.ip:
        yield facts_of(pod, ip=ip, port=port, opaque=opaque)
