"""What proxies ask about outbound traffic."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.policy.outbound.targets import (
    AddressTarget,
    InvalidTargetError,
    NamedTarget,
    NoSuchServiceError,
    parse_question,
)
from linkerd2_py.controlplane.policy.workload import InvalidWorkloadError
from linkerd2_py.proto.gen import net_pb2 as net
from linkerd2_py.proto.gen import outbound_pb2 as outbound

CLIENT = "client:pod"
V4 = net.IPAddress(ipv4=0x0A60000A)
V6 = net.IPAddress(ipv6=net.IPv6(first=0xFD00_0000_0000_0000, last=0x0A))


def of_address(ip: net.IPAddress | None, port: int) -> outbound.TrafficSpec:
    return outbound.TrafficSpec(source_workload=CLIENT, addr=net.TcpAddress(ip=ip, port=port))


def of_name(authority: str) -> outbound.TrafficSpec:
    return outbound.TrafficSpec(source_workload=CLIENT, authority=authority)


@pytest.mark.parametrize(("ip", "text"), [(V4, "10.96.0.10"), (V6, "fd00::a")])
def test_an_address_of_either_family(ip: net.IPAddress, text: str) -> None:
    question = parse_question(of_address(ip, 80))
    assert question.target == AddressTarget(ip_address(text), 80)
    assert question.namespace == "client"


@pytest.mark.parametrize(
    ("authority", "port"),
    [
        ("web.shop.svc.cluster.local:8080", 8080),
        ("web.shop.svc.cluster.local", 80),
        ("web.shop.svc.cluster.local.:81", 81),
        ("web.shop.svc", 80),
    ],
)
def test_a_name_of_a_service(authority: str, port: int) -> None:
    assert parse_question(of_name(authority)).target == NamedTarget(Key("shop", "web"), port)


def test_who_rewrites_says_so() -> None:
    spec = of_name("web.shop.svc")
    assert not parse_question(spec).rewrites
    spec.rewrites = True
    assert parse_question(spec).rewrites


@pytest.mark.parametrize(
    "authority",
    ["db-0.db.shop.svc.cluster.local", "example.com:80", "10.96.0.10:80", "web..svc", "web.shop"],
)
def test_other_names_are_nobodys(authority: str) -> None:
    with pytest.raises(NoSuchServiceError, match="authority must be of the form"):
        parse_question(of_name(authority))


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (outbound.TrafficSpec(source_workload=CLIENT), "target is required"),
        (of_address(V4, 0), "port cannot be zero"),
        (of_address(V4, 65536), "port outside valid range"),
        (of_address(None, 80), "must have an IP"),
        (of_name("web.shop.svc:http"), "invalid authority"),
        (of_name(":80"), "must have a host"),
    ],
)
def test_what_cannot_be_answered(spec: outbound.TrafficSpec, reason: str) -> None:
    with pytest.raises(InvalidTargetError, match=reason):
        parse_question(spec)


def test_nobody_is_not_answered() -> None:
    spec = outbound.TrafficSpec(source_workload="x", authority="web.shop.svc")
    with pytest.raises(InvalidWorkloadError):
        parse_question(spec)
