"""What peers must know of one address: which labels it has, who answers there, and how it is spoken to."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from linkerd2_py.controlplane.destination.settings import Settings
from linkerd2_py.controlplane.mesh.objects import (
    WHOLE,
    ContainerPort,
    ExternalWorkload,
    Gateway,
    Labels,
    Pod,
)
from linkerd2_py.controlplane.mesh.pod_labels import labels_of
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.store import Mesh

Address = tuple[str, int]

LABEL_ZONE: Final = "zone"
LABEL_ZONE_LOCALITY: Final = "zone_locality"
LABEL_EXTERNAL_WORKLOAD: Final = "external_workload"
OPAQUE: Final = "opaque"
"""The protocol of a Server whose bytes are not parsed."""


class PeerIdentity(NamedTuple):
    """Who proves to answer: the name in the certificate, which is a URI or a host's, and the one to ask for
    in the handshake, empty where that is not said.
    """

    name: str
    server_name: str


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """One address and port. With a `hint` a proxy answers there, and understands that protocol; its
    `inbound_port` takes what is for any of its ports, by a header (0: not to be used). `weight` is in ten
    thousandths; those that are `near` are used before others.
    """

    ip: str
    port: int
    labels: Labels
    identity: PeerIdentity | None = None
    hint: Literal["", "h2", "opaque"] = ""
    inbound_port: int = 0
    authority: str = ""
    weight: int = WHOLE
    near: bool = False

    @property
    def address(self) -> Address:
        """Where peers connect."""
        return self.ip, self.port

    @property
    def is_meshed(self) -> bool:
        """Whether a proxy of this mesh or another answers."""
        return bool(self.hint)


def of_pod(
    pod: Pod, *, address: Address, labels: Labels, mesh: Mesh, settings: Settings
) -> EndpointFacts:
    """The pod at one of its addresses, or its node's, and a port that peers connect to; with more labels than
    its own.
    """
    ip, port = address
    labels = {**labels_of(pod), **labels}
    if not pod.meshed or port not in pod.proxied:
        # Where the program itself answers, nobody could prove who it is.
        return EndpointFacts(ip, port, labels, weight=pod.weight)
    opaque = is_opaque(pod, port=port, mesh=mesh)
    direct = opaque or settings.outbound_transport_mode == "transport-header"
    return EndpointFacts(
        ip,
        port,
        labels,
        identity=PeerIdentity(pod.identity, pod.identity) if pod.identity else None,
        hint="opaque" if opaque else "h2",
        # By the header the proxy there knows which port is meant, and how, whatever its own settings say.
        inbound_port=pod.inbound_port if direct and port not in pod.admin_ports else 0,
        weight=pod.weight,
    )


def of_external(
    workload: ExternalWorkload, *, address: Address, labels: Labels, mesh: Mesh, settings: Settings
) -> EndpointFacts:
    """A workload outside the cluster, with more labels than its own. Its proxy takes all its ports."""
    ip, port = address
    owner = workload.owner
    own = {LABEL_EXTERNAL_WORKLOAD: workload.name} | ({owner.kind: owner.name} if owner else {})
    opaque = is_opaque(workload, port=port, mesh=mesh)
    direct = opaque or settings.outbound_transport_mode == "transport-header"
    return EndpointFacts(
        ip,
        port,
        {**own, **labels},
        identity=PeerIdentity(workload.identity, workload.server_name),
        hint="opaque" if opaque else "h2",
        inbound_port=workload.inbound_port if direct else 0,
        weight=workload.weight,
    )


def of_gateway(
    gateway: Gateway, *, address: Address, labels: Labels, target_port: int
) -> EndpointFacts:
    """A way into another cluster, which finds the service there by the authority of a request."""
    ip, port = address
    identity = PeerIdentity(gateway.identity, "") if gateway.identity else None
    return EndpointFacts(
        ip,
        port,
        labels,
        identity=identity,
        hint="h2" if identity else "",
        authority=f"{gateway.service}:{target_port}" if gateway.service else "",
    )


def is_opaque(workload: Pod | ExternalWorkload, *, port: int, mesh: Mesh) -> bool:
    """Whether it says itself that the bytes of this port are not parsed, or a Server does."""
    return port in workload.opaque_ports or any(
        server.proxy_protocol == OPAQUE
        and _means(server, port=port, ports=workload.ports)
        and _selects(server, workload)
        for server in mesh.servers_in(workload.namespace)
    )


def _means(server: Server, *, port: int, ports: tuple[ContainerPort, ...]) -> bool:
    """Whether it is about a port of a workload, by its number or by a name that the workload gives it."""
    if isinstance(server.port, int):
        return server.port == port
    return any(one.name == server.port and port in {one.number, one.host} for one in ports)


def _selects(server: Server, workload: Pod | ExternalWorkload) -> bool:
    selector = server.pods if isinstance(workload, Pod) else server.external_workloads
    return selector is not None and selector.selects(workload.labels)
