"""From endpoint sets to the messages of the destination API, already encoded.

Order and emptiness follow the API's stream rules: a snapshot is one message; a change is Add before Remove,
so that a set is never empty in between; an emptied set is NoEndpoints.
"""

import ipaddress
from collections.abc import Iterable

from linkerd2_py.base.names import (
    CONTROL_PLANE_NAMESPACE,
    LABEL_CONTROL_PLANE_NS,
    LABEL_NAMESPACE,
    LABEL_POD,
    LABEL_SERVICE,
    LABEL_SERVICE_ACCOUNT,
    owner_label,
)
from linkerd2_py.controlplane.destination.endpoints import EndpointFacts, EndpointSet
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import meta_pb2 as meta
from linkerd2_py.proto.gen import net_pb2 as net

# What Linkerd's destination sends for every endpoint; balancers do not use it.
WEIGHT = 10_000
_LOW_64 = (1 << 64) - 1


def snapshot(endpoints: EndpointSet, *, service: Key) -> tuple[bytes, ...]:
    """The first message of a stream."""
    if not endpoints.endpoints:
        return (_no_endpoints(exists=endpoints.exists),)
    return (_add(endpoints.endpoints, service=service),)


def difference(before: EndpointSet, *, after: EndpointSet, service: Key) -> tuple[bytes, ...]:
    """The messages that lead from one set to the next; none when nothing a peer sees has changed."""
    if (before.exists, before.endpoints) == (after.exists, after.endpoints):
        return ()
    if not after.endpoints:
        return (_no_endpoints(exists=after.exists),)
    messages = []
    if added := after.endpoints - before.endpoints:
        messages.append(_add(added, service=service))
    # An endpoint whose labels alone changed has been replaced by the Add.
    stay = {endpoint.address for endpoint in after.endpoints}
    if gone := {endpoint.address for endpoint in before.endpoints} - stay:
        messages.append(_remove(gone))
    return tuple(messages)


def weighted_address(endpoint: EndpointFacts) -> destination.WeightedAddr:
    """One endpoint with its labels, its identity, its hint and the pod it stands for, if any."""
    return destination.WeightedAddr(
        addr=tcp_address(endpoint.ip, port=endpoint.port),
        weight=WEIGHT,
        metric_labels=_labels(endpoint),
        tls_identity=_tls_identity(endpoint),
        protocol_hint=_protocol_hint(endpoint),
        resource_ref=_pod_reference(endpoint),
    )


def tcp_address(ip: str, *, port: int) -> net.TcpAddress:
    """An address as big-endian numbers."""
    address = ipaddress.ip_address(ip)
    number = int(address)
    if address.version == 4:
        return net.TcpAddress(ip=net.IPAddress(ipv4=number), port=port)
    parts = net.IPv6(first=number >> 64, last=number & _LOW_64)
    return net.TcpAddress(ip=net.IPAddress(ipv6=parts), port=port)


def _pod_reference(endpoint: EndpointFacts) -> meta.Metadata | None:
    if not endpoint.pod:
        return None
    pod = meta.Resource(group="core", kind="Pod", name=endpoint.pod, namespace=endpoint.namespace)
    return meta.Metadata(resource=pod)


def _tls_identity(endpoint: EndpointFacts) -> destination.TlsIdentity | None:
    """The name in the certificate, which is also the one to ask for in the handshake (SNI)."""
    if not endpoint.identity:
        return None
    name = destination.TlsIdentity.DnsLikeIdentity(name=endpoint.identity)
    return destination.TlsIdentity(dns_like_identity=name, server_name=name)


def _protocol_hint(endpoint: EndpointFacts) -> destination.ProtocolHint | None:
    if not endpoint.proxied:
        return None
    hint = destination.ProtocolHint
    if not endpoint.opaque:
        return hint(h2=hint.H2())
    # By the header the proxy there knows that the bytes are not to be looked at, whatever its own settings
    # say.
    direct = hint.OpaqueTransport(inbound_port=endpoint.inbound_port)
    return hint(opaque=hint.Opaque(), opaque_transport=direct if endpoint.inbound_port else None)


def _labels(endpoint: EndpointFacts) -> dict[str, str]:
    if not endpoint.pod:
        return {}
    labels = {LABEL_POD: endpoint.pod, LABEL_SERVICE_ACCOUNT: endpoint.service_account}
    if endpoint.owner:
        labels[owner_label(endpoint.owner.kind)] = endpoint.owner.name
    if endpoint.meshed:
        labels[LABEL_CONTROL_PLANE_NS] = CONTROL_PLANE_NAMESPACE
    return labels


def _add(endpoints: Iterable[EndpointFacts], *, service: Key) -> bytes:
    ordered = sorted(endpoints, key=lambda endpoint: endpoint.address)
    addresses = destination.WeightedAddrSet(
        addrs=[weighted_address(endpoint) for endpoint in ordered],
        metric_labels={LABEL_NAMESPACE: service.namespace, LABEL_SERVICE: service.name},
    )
    return destination.Update(add=addresses).SerializeToString(deterministic=True)


def _remove(addresses: Iterable[tuple[str, int]]) -> bytes:
    gone = [tcp_address(ip, port=port) for ip, port in sorted(addresses)]
    return destination.Update(remove=destination.AddrSet(addrs=gone)).SerializeToString()


def _no_endpoints(*, exists: bool) -> bytes:
    empty = destination.NoEndpoints(exists=exists)
    return destination.Update(no_endpoints=empty).SerializeToString()
