"""IP literals, host names, networks and suffixes."""

import pytest

from linkerd2_py.proxy.addresses import (
    is_host_name,
    is_loopback,
    is_multicast,
    is_unspecified,
    join_host_port,
    matches_suffix,
    pack_ip,
    parse_network,
    split_host_port,
    unpack_ip,
)


def test_mapped_ipv6_is_ipv4() -> None:
    assert pack_ip("::ffff:10.0.0.1") == bytes([10, 0, 0, 1])
    assert unpack_ip(bytes([10, 0, 0, 1])) == "10.0.0.1"
    assert unpack_ip(bytes(15) + b"\x01") == "::1"


@pytest.mark.parametrize(
    "text", ["", "10.0.0", "010.0.0.1", "1.2.3.4.5", "::g", "localhost", "1.2.3.4\x00"]
)
def test_what_is_no_ip_literal(text: str) -> None:
    assert pack_ip(text) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "::2", "localhost", "0.0.0.0"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_addresses_nobody_can_be_at() -> None:
    assert is_unspecified("0.0.0.0")
    assert is_unspecified("::")
    assert not is_unspecified("0.0.0.1")
    assert is_multicast("224.0.0.1")
    assert is_multicast("ff02::1")
    assert is_multicast("255.255.255.255")
    assert not is_multicast("10.0.0.1")
    assert not is_multicast("fe80::1")
    assert not is_multicast("name")


def test_host_and_port() -> None:
    assert split_host_port("[::1]:80") == ("::1", 80)
    assert split_host_port("[fe80::1%2]:80") == ("fe80::1%2", 80)
    assert split_host_port("web:65535") == ("web", 65535)
    assert join_host_port("::1", port=80) == "[::1]:80"
    assert join_host_port("web", port=80) == "web:80"


@pytest.mark.parametrize(
    "text",
    [
        "web",
        ":80",
        "::1:80",
        "[web]:80",
        "[127.0.0.1]:80",
        "web:",
        "web:-1",
        "web:65536",
        "web:123456",
        "[::1%2]:80",
    ],
)
def test_what_is_not_host_and_port(text: str) -> None:
    with pytest.raises(ValueError):
        split_host_port(text)


def test_host_names() -> None:
    assert is_host_name("a.b-c.d_e.")
    assert not is_host_name(".")
    assert not is_host_name("a..b")
    assert not is_host_name("-a")
    assert not is_host_name("a-")
    assert not is_host_name("a" * 64)
    assert not is_host_name(".".join(["a" * 60] * 5))
    assert not is_host_name("münchen")
    assert not is_host_name("a\n")


def test_networks_hold_their_own_family_only() -> None:
    network = parse_network("10.32.0.0/11")
    assert network.contains(bytes([10, 63, 1, 2]))
    assert not network.contains(bytes([10, 64, 0, 0]))
    assert not network.contains(bytes(16))
    assert parse_network("0.0.0.0/0").contains(bytes([1, 2, 3, 4]))


def test_suffixes_match_whole_labels() -> None:
    suffixes = ("svc.cluster.local",)
    assert matches_suffix("web.ns.svc.cluster.local", suffixes=suffixes)
    assert matches_suffix("WEB.ns.svc.cluster.local.", suffixes=suffixes)
    assert matches_suffix("svc.cluster.local", suffixes=suffixes)
    assert not matches_suffix("notsvc.cluster.local", suffixes=suffixes)
    assert not matches_suffix("svc.cluster.local.example", suffixes=suffixes)
    assert matches_suffix("anything", suffixes=(".",))
    assert not matches_suffix("anything", suffixes=())
