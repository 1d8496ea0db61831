"""Which addresses a transparent mesh takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from itertools import islice

import pytest

from linkerd2_py.controlplane.local.place.transparent import subnet
from linkerd2_py.controlplane.local.place.transparent.subnet import (
    NUMBERS,
    Subnet,
    choose,
    networks,
)


@contextmanager
def _chosen(*taken: str) -> Iterator[Subnet]:
    found = choose(taken=networks(taken))
    assert found is not None
    network, claim = found
    with claim:
        yield network


def test_a_number_is_given_to_one_mesh_at_a_time() -> None:
    with _chosen() as first, _chosen() as second:
        assert first.number != second.number
        assert not first.v4.overlaps(second.v4)
        assert not first.v6.overlaps(second.v6)
        assert subnet.claim_of(first.number) is None
    claim = subnet.claim_of(first.number)
    assert claim is not None
    claim.close()


@pytest.mark.parametrize(
    "taken",
    [
        "10.0.0.0/8",  # a route of a VPN
        "10.209.3.4/32",
        "10.209.0.0/12",
    ],
)
def test_networks_of_others_are_passed_over(taken: str) -> None:
    with _chosen(taken) as found:
        assert not found.v4.overlaps(ip_network(taken, strict=False))


def test_ipv6_networks_of_others_are_passed_over() -> None:
    with _chosen(str(Subnet(0).v6)) as found:
        assert found.number != 0


def test_a_default_route_takes_nothing() -> None:
    with _chosen("0.0.0.0/0", "::/0", "default", "") as found:
        assert found.number in NUMBERS


def test_none_is_left_when_all_is_taken() -> None:
    assert choose(taken=networks(["10.0.0.0/8", "172.16.0.0/12", "198.18.0.0/15"])) is None


def test_pods_services_and_the_link_never_share_an_address() -> None:
    network = Subnet(7)
    pods, services = set(network.pod_addresses()), set(network.service_addresses())
    assert len(pods) > 30_000
    assert len(services) > 30_000
    assert not pods & services
    own = {str(end) for end in (network.gateway, *network.link)}
    assert not own & {ip for ip, _ in pods | services}
    for ip, ip6 in islice(pods | services, 1000):
        assert ip_address(ip) in network.v4
        assert ip_address(ip6) in network.v6
    for ip, ip6 in islice(services, 1000):
        assert ip_address(ip) in network.services[0]
        assert ip_address(ip6) in network.services[1]
    assert not any(ip_address(ip) in network.services[0] for ip, _ in pods)
    assert ip_address(network.link[0]) in ip_network(f"{network.link[1]}/30", strict=False)


def test_names_tell_their_mesh() -> None:
    network = Subnet(12)
    assert network.namespace_of("web-0") == "l5d12-web-0"
    for name in (network.label, network.node, network.namespace_of("web-0")):
        assert subnet.number_of(name) == 12
    for name in ("l5d", "l5dx-web", "eth0", "l5d99999-web", "cni-l5d1"):
        assert subnet.number_of(name) is None
    # A link's name may have 15 characters at most.
    assert all(len(Subnet(number).label) <= 15 for number in NUMBERS)
