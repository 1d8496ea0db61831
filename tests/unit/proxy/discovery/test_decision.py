"""Who is asked about a target."""

import pytest

from linkerd2_py.proxy.addresses import Authority, SocketAddr, parse_network
from linkerd2_py.proxy.config.types import Destination, Service, StreamLimits
from linkerd2_py.proxy.discovery.decision import (
    ByAddress,
    ByDns,
    ByService,
    Decision,
    Forwarded,
    Rejected,
    decide,
)


def rules(
    *,
    control_plane: bool = True,
    namespace: str = "",
    get: tuple[str, ...] = ("svc.cluster.local",),
    profile: tuple[str, ...] = ("svc.cluster.local",),
    networks: tuple[str, ...] = (),
) -> Destination:
    return Destination(
        service=Service(Authority("127.0.0.1", 8086), "") if control_plane else None,
        context_token="",
        namespace=namespace,
        get_suffixes=get,
        profile_suffixes=profile,
        profile_networks=tuple(parse_network(network) for network in networks),
        profile_initial_timeout_s=0.5,
        streams=StreamLimits(None, None, None),
    )


def is_told(found: Decision, wanted: Decision) -> bool:
    """Decisions are tuples, which are equal to those of another kind with the same content."""
    return type(found) is type(wanted) and found == wanted


def service(
    name: str, port: int = 80, *, spelled: str | None = None, profile: bool = True
) -> ByService:
    return ByService(
        name=Authority(name, port),
        with_profile=profile,
        spelled=Authority(spelled, port) if spelled else None,
    )


@pytest.mark.parametrize(
    ("key", "decision"),
    [
        (b"web.ns.svc.cluster.local:80", service("web.ns.svc.cluster.local")),
        (b"example.com:443", ByDns(Authority("example.com", 443))),
        (b"web:80", ByDns(Authority("web", 80))),
        (b"10.0.0.1:80", Forwarded(SocketAddr("10.0.0.1", 80))),
        (b"[fd00::1]:80", Forwarded(SocketAddr("fd00::1", 80))),
        (b"[fd00:0:0::1]:80", Forwarded(SocketAddr("fd00::1", 80))),
        (b"[::ffff:10.0.0.1]:80", Forwarded(SocketAddr("10.0.0.1", 80))),
        (b"[fe80:0::1%2]:80", Forwarded(SocketAddr("fe80::1%2", 80))),
    ],
)
def test_names_addresses_and_the_rest(key: bytes, decision: Decision) -> None:
    assert is_told(decide(key, rules=rules()), decision)


@pytest.mark.parametrize(
    "key", [b"0.0.0.0:80", b"[::]:80", b"224.0.0.1:80", b"255.255.255.255:80", b"10.0.0.1:0"]
)
def test_addresses_nobody_is_at_are_rejected(key: bytes) -> None:
    decision = decide(key, rules=rules())
    assert isinstance(decision, Rejected)
    assert decision.status == 502


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"web",
        b"we b:80",
        b"w\xc3\xa9b:80",
        b"web:0",
        b"a..b:80",
        b"web:x",
        b"[fe80::1%lo]:80",
        b"10.0.0.1%2:80",
    ],
)
def test_what_is_no_target_is_rejected(key: bytes) -> None:
    decision = decide(key, rules=rules())
    assert isinstance(decision, Rejected)
    assert decision.status == 400


def test_addresses_of_the_meshs_networks_are_asked_about() -> None:
    inside = rules(networks=("10.0.0.0/8",))
    assert is_told(decide(b"10.1.2.3:80", rules=inside), ByAddress(SocketAddr("10.1.2.3", 80)))
    assert is_told(decide(b"11.1.2.3:80", rules=inside), Forwarded(SocketAddr("11.1.2.3", 80)))
    everything = rules(networks=("::/0",))
    assert is_told(
        decide(b"[fe80::1%2]:80", rules=everything), Forwarded(SocketAddr("fe80::1%2", 80))
    )


def test_without_a_control_plane_only_dns_is_asked() -> None:
    alone = rules(control_plane=False, namespace="ns", networks=("10.0.0.0/8",))
    assert is_told(
        decide(b"web.ns.svc.cluster.local:80", rules=alone),
        ByDns(Authority("web.ns.svc.cluster.local", 80)),
    )
    assert is_told(decide(b"10.0.0.1:80", rules=alone), Forwarded(SocketAddr("10.0.0.1", 80)))


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("web", "web.mine.svc.cluster.local"),
        ("web.other", "web.other.svc.cluster.local"),
        ("web.other.svc", "web.other.svc.cluster.local"),
    ],
)
def test_short_names_are_completed_in_the_pods_namespace(spelled: str, name: str) -> None:
    found = decide(f"{spelled}:80".encode(), rules=rules(namespace="mine"))
    assert found == service(name, spelled=spelled)


@pytest.mark.parametrize(
    "name", ["www.example.com", "localhost", "x.localhost", "a.b.c.d", "web.ns.foo"]
)
def test_other_names_are_not_completed(name: str) -> None:
    found = decide(f"{name}:80".encode(), rules=rules(namespace="mine"))
    assert found == ByDns(Authority(name, 80))


def test_the_suffix_in_force_completes() -> None:
    found = decide(b"web.ns.svc:80", rules=rules(namespace="mine", get=("svc.test",), profile=()))
    assert found == service("web.ns.svc.test", spelled="web.ns.svc", profile=False)


def test_a_dot_means_every_name() -> None:
    everything = rules(get=(".",), profile=())
    assert is_told(
        decide(b"example.com:1", rules=everything), service("example.com", 1, profile=False)
    )


def test_no_suffix_means_no_name() -> None:
    found = decide(b"web.ns.svc.cluster.local:80", rules=rules(get=()))
    assert found == ByDns(Authority("web.ns.svc.cluster.local", 80))
