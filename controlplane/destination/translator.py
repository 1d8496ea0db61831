"""From endpoint sets to the messages of the destination API, already encoded.

Order and emptiness are those of Linkerd's destination: a snapshot is one message, or none of a set that is
empty; a change is Add before Remove, so that a set is never empty in between; an emptied set is a Remove of
all that were in it.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration

from linkerd2_py.controlplane.destination.endpoints import EndpointSet
from linkerd2_py.controlplane.destination.facts import Address, EndpointFacts, PeerIdentity
from linkerd2_py.controlplane.destination.settings import KeepAlive
from linkerd2_py.controlplane.mesh.objects import Labels
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import net_pb2 as net

_LOW_64 = (1 << 64) - 1
_URI = "://"


def snapshot(found: EndpointSet, *, keep_alive: KeepAlive | None) -> tuple[bytes, ...]:
    """What a stream begins with."""
    if not found.endpoints:
        return ()
    return (_add(found.endpoints.values(), labels=found.labels, keep_alive=keep_alive),)


def difference(
    before: EndpointSet, *, after: EndpointSet, keep_alive: KeepAlive | None
) -> tuple[bytes, ...]:
    """The messages that lead from one set to the next; none when nothing a peer sees has changed."""
    messages = []
    added = [one for one in after.endpoints.values() if before.endpoints.get(one.address) != one]
    if added:
        messages.append(_add(added, labels=after.labels, keep_alive=keep_alive))
    # An endpoint that is only described otherwise has been replaced by the Add.
    if gone := before.endpoints.keys() - after.endpoints.keys():
        messages.append(_remove(gone))
    return tuple(messages)


def weighted_address(
    endpoint: EndpointFacts, *, keep_alive: KeepAlive | None
) -> destination.WeightedAddr:
    """One endpoint with its labels, who answers there, and how it is spoken to."""
    message = destination.WeightedAddr(
        addr=tcp_address(endpoint.ip, port=endpoint.port),
        weight=endpoint.weight,
        metric_labels=endpoint.labels,
        tls_identity=_tls_identity(endpoint.identity),
        protocol_hint=_protocol_hint(endpoint),
        http2=_http2(keep_alive) if endpoint.is_meshed and keep_alive is not None else None,
        near=endpoint.near,
    )
    if endpoint.authority:
        message.authority_override.authority_override = endpoint.authority
    return message


def tcp_address(ip: str, *, port: int) -> net.TcpAddress:
    """An address as big-endian numbers."""
    address = ipaddress.ip_address(ip)
    number = int(address)
    if address.version == 4:
        return net.TcpAddress(ip=net.IPAddress(ipv4=number), port=port)
    parts = net.IPv6(first=number >> 64, last=number & _LOW_64)
    return net.TcpAddress(ip=net.IPAddress(ipv6=parts), port=port)


def _tls_identity(identity: PeerIdentity | None) -> destination.TlsIdentity | None:
    """The name in the certificate, and the one to ask for in the handshake (SNI)."""
    if identity is None:
        return None
    tls = destination.TlsIdentity
    message = tls()
    if _URI in identity.name:
        message.uri_like_identity.uri = identity.name
    else:
        message.dns_like_identity.name = identity.name
    if identity.server_name:
        message.server_name.name = identity.server_name
    return message


def _protocol_hint(endpoint: EndpointFacts) -> destination.ProtocolHint | None:
    if not endpoint.hint:
        return None
    hint = destination.ProtocolHint
    message = hint(h2=hint.H2()) if endpoint.hint == "h2" else hint(opaque=hint.Opaque())
    if endpoint.inbound_port:
        message.opaque_transport.inbound_port = endpoint.inbound_port
    return message


@lru_cache(maxsize=1)  # the same for all; whoever takes it up copies it
def _http2(keep_alive: KeepAlive) -> destination.Http2ClientParams:
    return destination.Http2ClientParams(
        keep_alive=destination.Http2ClientParams.KeepAlive(
            interval=Duration(seconds=keep_alive.interval_s),
            timeout=Duration(seconds=keep_alive.timeout_s),
            while_idle=keep_alive.while_idle,
        )
    )


def _add(
    endpoints: Iterable[EndpointFacts], *, labels: Labels, keep_alive: KeepAlive | None
) -> bytes:
    ordered = sorted(endpoints, key=lambda endpoint: endpoint.address)
    addresses = destination.WeightedAddrSet(
        addrs=[weighted_address(endpoint, keep_alive=keep_alive) for endpoint in ordered],
        metric_labels=labels,
    )
    return destination.Update(add=addresses).SerializeToString(deterministic=True)


def _remove(addresses: Iterable[Address]) -> bytes:
    gone = [tcp_address(ip, port=port) for ip, port in sorted(addresses)]
    return destination.Update(remove=destination.AddrSet(addrs=gone)).SerializeToString()
