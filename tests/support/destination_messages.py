"""Messages of the destination API, made from texts."""

import socket
from collections.abc import Mapping

from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import net_pb2 as net


def tcp_address(host: str, port: int) -> net.TcpAddress:
    """An IP literal and port on the wire."""
    if ":" not in host:
        number = int.from_bytes(socket.inet_aton(host))
        return net.TcpAddress(ip=net.IPAddress(ipv4=number), port=port)
    packed = socket.inet_pton(socket.AF_INET6, host)
    six = net.IPv6(first=int.from_bytes(packed[:8]), last=int.from_bytes(packed[8:]))
    return net.TcpAddress(ip=net.IPAddress(ipv6=six), port=port)


def weighted(
    host: str, port: int, *, h2: bool = False, labels: Mapping[str, str] | None = None
) -> destination.WeightedAddr:
    """An endpoint; `h2` marks a meshed peer."""
    hint = destination.ProtocolHint(h2=destination.ProtocolHint.H2()) if h2 else None
    return destination.WeightedAddr(
        addr=tcp_address(host, port), weight=10_000, metric_labels=labels or {}, protocol_hint=hint
    )


def add(*addresses: tuple[str, int], h2: bool = False) -> destination.Update:
    """An update that adds plain endpoints."""
    addrs = [weighted(host, port, h2=h2) for host, port in addresses]
    return destination.Update(add=destination.WeightedAddrSet(addrs=addrs))


def secured(host: str, port: int, *, identity: str, tunnel_port: int = 0) -> destination.Update:
    """An update that adds a meshed endpoint which must answer as `identity`."""
    address = weighted(host, port, h2=True)
    address.tls_identity.dns_like_identity.name = identity
    address.tls_identity.server_name.name = identity
    if tunnel_port:
        address.protocol_hint.opaque_transport.inbound_port = tunnel_port
    return destination.Update(add=destination.WeightedAddrSet(addrs=[address]))


def remove(*addresses: tuple[str, int]) -> destination.Update:
    """An update that removes."""
    addrs = [tcp_address(host, port) for host, port in addresses]
    return destination.Update(remove=destination.AddrSet(addrs=addrs))


def no_endpoints(*, exists: bool) -> destination.Update:
    """An update that says there are none."""
    return destination.Update(no_endpoints=destination.NoEndpoints(exists=exists))
