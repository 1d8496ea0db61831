"""Messages of the destination API as values."""

import socket

import pytest

from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.discovery import messages
from linkerd2_py.proxy.discovery.http2 import Http2Params
from tests.support.destination_messages import tcp_address, weighted


def test_an_endpoint_with_everything() -> None:
    message = destination.WeightedAddrSet(
        addrs=[weighted("10.0.0.1", 8080, h2=True, labels={"pod": "web-0", "namespace": "mine"})],
        metric_labels={"service": "web", "namespace": "theirs"},
    )
    (found,), skipped = messages.endpoints(message)
    assert found.address == SocketAddr("10.0.0.1", 8080)
    assert found.h2
    assert found.labels == (("namespace", "mine"), ("pod", "web-0"), ("service", "web"))
    assert skipped == 0


def test_ipv6_and_mapped_addresses() -> None:
    assert messages.socket_addr(tcp_address("fd00::7", 1)) == SocketAddr("fd00::7", 1)
    assert messages.socket_addr(tcp_address("::ffff:10.0.0.1", 1)) == SocketAddr("10.0.0.1", 1)


@pytest.mark.parametrize(
    "message",
    [
        net.TcpAddress(port=80),
        net.TcpAddress(ip=net.IPAddress(ipv4=0), port=80),
        net.TcpAddress(ip=net.IPAddress(ipv4=0xE0000001), port=80),
        net.TcpAddress(ip=net.IPAddress(ipv4=0x0A000001), port=0),
        net.TcpAddress(ip=net.IPAddress(ipv4=0x0A000001), port=65536),
    ],
)
def test_addresses_nobody_is_at_are_skipped(message: net.TcpAddress) -> None:
    update = destination.WeightedAddrSet(
        addrs=[destination.WeightedAddr(addr=message), weighted("10.0.0.1", 1)]
    )
    found, skipped = messages.endpoints(update)
    assert [one.address.host for one in found] == ["10.0.0.1"]
    assert skipped == 1
    assert messages.addresses(destination.AddrSet(addrs=[message])) == ((), 1)


def test_labels_are_bounded() -> None:
    labels = {f"name_{number:02}": "x" * 1000 for number in range(50)} | {"no-label": "1", "": "2"}
    (found,), _ = messages.endpoints(
        destination.WeightedAddrSet(addrs=[weighted("10.0.0.1", 1, labels=labels)])
    )
    assert len(found.labels) == 32
    assert {len(value) for _, value in found.labels} == {256}


def test_what_endpoints_have_in_common_is_held_once() -> None:
    common = {"deployment": "web", "zone": "a"}
    addrs = [
        weighted(f"10.0.0.{number}", 80, labels={"pod": f"web-{number}", **common})
        for number in (1, 2)
    ]
    for addr in addrs:
        addr.tls_identity.dns_like_identity.name = "web.shop"
    message = destination.WeightedAddrSet(addrs=addrs, metric_labels={"service": "web"})
    # As it comes from the wire, where every text is a new one.
    again = destination.WeightedAddrSet.FromString(message.SerializeToString())
    (one, other), _ = messages.endpoints(again)
    assert one.peer is not None
    assert one.peer is other.peer
    pairs = list(zip(one.labels, other.labels, strict=True))
    assert all(mine[0] is theirs[0] for mine, theirs in pairs)
    assert [mine[0] for mine, theirs in pairs if mine is not theirs] == ["pod"]


def test_a_profile() -> None:
    message = destination.DestinationProfile(
        opaque_protocol=True,
        fully_qualified_name="web.ns.svc.cluster.local",
        endpoint=weighted("10.0.0.1", 80),
    )
    found = messages.profile(message)
    assert (found.opaque, found.name) == (True, "web.ns.svc.cluster.local")
    assert found.endpoint is not None
    assert found.endpoint.address == SocketAddr("10.0.0.1", 80)


def test_a_profile_whose_endpoint_cannot_be_read_has_none() -> None:
    message = destination.DestinationProfile(endpoint=destination.WeightedAddr())
    assert messages.profile(message).endpoint is None
    assert messages.profile(destination.DestinationProfile()).endpoint is None


def test_addresses_travel_as_the_api_says() -> None:
    assert tcp_address("10.0.0.1", 80).ip.ipv4 == 0x0A000001
    packed = socket.inet_pton(socket.AF_INET6, "fd00::7")
    assert tcp_address("fd00::7", 80).ip.ipv6.first == int.from_bytes(packed[:8])


def test_an_identity_that_cannot_be_asked_for_is_no_plain_endpoint() -> None:
    nameless = weighted("10.0.0.1", 80)
    nameless.tls_identity.uri_like_identity.uri = "spiffe://linkerd.test/web"
    update = destination.WeightedAddrSet(addrs=[nameless, weighted("10.0.0.2", 80)])
    found, skipped = messages.endpoints(update)
    assert ([one.address.host for one in found], skipped) == (["10.0.0.2"], 1)


@pytest.mark.parametrize("port", [65_536, 2**31, 2**32 - 1])
def test_a_tunnel_to_no_port_spoils_its_own_endpoint_only(port: int) -> None:
    spoiled = weighted("10.0.0.1", 80)
    spoiled.tls_identity.dns_like_identity.name = "web.ns.serviceaccount.identity.linkerd.test"
    spoiled.protocol_hint.opaque_transport.inbound_port = port
    update = destination.WeightedAddrSet(addrs=[spoiled, weighted("10.0.0.2", 80)])
    found, skipped = messages.endpoints(update)
    assert ([one.address.host for one in found], skipped) == (["10.0.0.2"], 1)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 300, "ü.test", "sp ace", "a..b"])
def test_a_name_that_is_none_is_no_profiles_name(name: str) -> None:
    message = destination.DestinationProfile(fully_qualified_name=name, opaque_protocol=True)
    assert messages.profile(message) == messages.Profile(True, "", None)


def test_an_endpoint_alone_may_be_hinted_opaque() -> None:
    message = weighted("10.0.0.1", 80)
    assert messages.endpoint(message, shared={}, once=messages.Once()) == messages.Endpoint(
        SocketAddr("10.0.0.1", 80)
    )
    message.protocol_hint.opaque.SetInParent()
    assert messages.endpoint(message, shared={}, once=messages.Once()) == messages.Endpoint(
        SocketAddr("10.0.0.1", 80), opaque=True
    )


def test_how_http2_is_to_be_kept_alive_may_be_said() -> None:
    message = weighted("10.0.0.1", 80, h2=True)
    message.http2.keep_alive.interval.seconds = 10
    message.http2.keep_alive.timeout.seconds = 3
    message.http2.flow_control.initial_stream_window_size = 1
    assert messages.endpoint(message, shared={}, once=messages.Once()) == messages.Endpoint(
        SocketAddr("10.0.0.1", 80),
        h2=True,
        http2=Http2Params(
            (("ping_interval_ns", 10_000_000_000), ("ping_timeout_ns", 3_000_000_000)),
            pings_idle=False,
        ),
    )
