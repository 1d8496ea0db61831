"""Rules for virtual addresses, against golden files; L5D_UPDATE_GOLDEN=1 writes them anew."""

import re
from dataclasses import replace

import pytest

from linkerd2_py.controlplane.local.place.transparent.service_rules import (
    service_rules,
    service_rules_base,
)
from linkerd2_py.controlplane.mesh.objects import Family, PortSpec
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.golden import assert_golden
from tests.support.local_mesh import LocalMesh

WEB = ServiceSpec(
    "shop",
    "web-svc",
    "web",
    (PortSpec("http", 80, 8080), PortSpec("", 81, 8081)),
    ips=("10.9.128.16", "fd00:0:0:1::10"),
)
POD = Replica(
    "shop", "web-0", "web", "10.9.0.16", {8080: 8080}, ready=True, status="Running", ip6="fd00::10"
)


def pods(count: int) -> list[Replica]:
    return [
        replace(POD, name=f"web-{n}", ip=f"10.9.{n // 200}.{16 + n % 200}", ip6=f"fd00::{16 + n:x}")
        for n in range(count)
    ]


def mesh(services: list[ServiceSpec], pods: list[Replica]) -> Mesh:
    local_mesh = LocalMesh()
    local_mesh.apply(services=services, pods=pods)
    return local_mesh.mesh


def golden(name: str, text: str) -> None:
    assert_golden(f"local/{name}", text)


@pytest.mark.parametrize("family", [4, 6])
def test_rules_of_a_mesh(family: Family) -> None:
    headless = replace(WEB, name="peers", ips=(), headless=True)
    idle = replace(WEB, name="idle", workload="idle", ips=("10.9.128.17", "fd00:0:0:1::11"))
    found = service_rules(mesh([WEB, headless, idle], pods(3)), family=family)
    golden(f"service_rules_ipv{family}.golden", found)


def test_the_way_into_the_rules() -> None:
    golden("service_rules_base.golden", service_rules_base())


@pytest.mark.parametrize("family", [4, 6])
def test_a_mesh_without_addresses_empties_the_chains(family: Family) -> None:
    found = service_rules(mesh([replace(WEB, ips=())], []), family=family)
    assert "-A" not in found
    assert re.findall(r"^:(\S+) - ", found, re.MULTILINE) == [
        "L5D_SERVICES",
        "L5D_HAIRPINS",
        "L5D_NO_ENDPOINTS",
    ]


def test_only_serving_pods_of_that_family_and_port_are_sent_to() -> None:
    first, second, third, fourth = pods(4)
    found = mesh(
        [WEB],
        [
            first,
            replace(second, ready=False),
            replace(third, status="Terminating"),
            replace(fourth, ip6="", ports={8081: 31001}),
        ],
    )
    assert re.findall(r"--to-destination (\S+)", service_rules(found, family=4)) == [
        "10.9.0.16:8080",
        "10.9.0.19:31001",
    ]
    assert re.findall(r"--to-destination (\S+)", service_rules(found, family=6)) == [
        "[fd00::10]:8080"
    ]


@pytest.mark.parametrize("count", [1, 2, 7, 250])
def test_every_pod_has_the_same_chance(count: int) -> None:
    text = service_rules(mesh([WEB], pods(count)), family=4)
    rules = [line for line in text.splitlines() if "DNAT" in line]
    assert len(rules) == count
    left = 1.0
    for rule in rules:
        named = re.search(r"--probability (\S+)", rule)
        taken = left * (float(named[1]) if named else 1.0)
        assert taken == pytest.approx(1 / count, rel=1e-6)
        left -= taken
    assert left == pytest.approx(0)
