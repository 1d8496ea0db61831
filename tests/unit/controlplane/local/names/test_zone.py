"""Names of a mesh: services, headless ones, instances, what is above them, and what there is not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.local.names.zone import Absence, Found, Zone
from linkerd2_py.controlplane.mesh.objects import Family, PortSpec
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh

WEB = ServiceSpec(
    "shop", "web-svc", "web", (PortSpec("", 80, 80),), ips=("10.9.128.16", "fd00::1:10")
)
PEERS = replace(WEB, name="peers", ips=(), headless=True)
BARE = replace(WEB, name="bare", ips=())
POD = Replica(
    "shop", "web-0", "web", "10.9.0.16", {80: 80}, ready=True, status="Running", ip6="fd00::10"
)
STARTING = replace(POD, name="web-1", ip="10.9.0.17", ip6="fd00::11", ready=False)
ENDING = replace(POD, name="web-2", ip="10.9.0.18", ip6="", status="Terminating")
SINGLE = replace(POD, name="web-3", ip="10.9.0.19", ip6="")
OTHER = replace(POD, name="db-0", workload="db", ip="10.9.0.20", ip6="")
NO_DATA, NO_NAME = Absence.NO_DATA, Absence.NO_NAME


def zone() -> Zone:
    local_mesh = LocalMesh()
    local_mesh.apply(services=[WEB, PEERS, BARE], pods=[POD, STARTING, ENDING, SINGLE, OTHER])
    return Zone(lambda: local_mesh.mesh)


@pytest.mark.parametrize(
    ("name", "v4", "v6"),
    [
        ("web-svc.shop", ("10.9.128.16",), ("fd00::1:10",)),
        ("peers.shop", ("10.9.0.16", "10.9.0.19"), ("fd00::10",)),
        ("bare.shop", NO_DATA, NO_DATA),
        ("web-0.web-svc.shop", ("10.9.0.16",), ("fd00::10",)),
        ("web-0.peers.shop", ("10.9.0.16",), ("fd00::10",)),
        ("web-1.peers.shop", ("10.9.0.17",), ("fd00::11",)),
        ("web-3.peers.shop", ("10.9.0.19",), NO_DATA),
        ("web-2.peers.shop", NO_NAME, NO_NAME),
        ("web-9.peers.shop", NO_NAME, NO_NAME),
        ("db-0.peers.shop", NO_NAME, NO_NAME),
        ("web-0.none.shop", NO_NAME, NO_NAME),
        ("none.shop", NO_NAME, NO_NAME),
        ("web-svc.other", NO_NAME, NO_NAME),
        ("a.web-0.peers.shop", NO_NAME, NO_NAME),
        ("web-svc\\.shop", NO_NAME, NO_NAME),
        ("shop", NO_DATA, NO_DATA),
        ("other", NO_NAME, NO_NAME),
    ],
)
def test_names_below_the_services(name: str, v4: Found, v6: Found) -> None:
    for spelling in (name, name.upper()):
        path = f"{spelling}.svc.Cluster.local"
        assert zone().lookup(path, family=4) == v4
        assert zone().lookup(f"{path}.", family=6) == v6


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("cluster.local", NO_DATA),
        ("svc.cluster.local", NO_DATA),
        ("pod.cluster.local", NO_NAME),
        ("web-svc.cluster.local", NO_NAME),
        ("web-svc.shop.cluster.local", NO_NAME),
        ("example.com.svc.cluster.local", NO_NAME),
    ],
)
def test_names_above_and_beside_them(name: str, found: Absence) -> None:
    assert zone().lookup(name, family=4) is found


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("cluster.local", True),
        ("CLUSTER.LOCAL.", True),
        ("a.b.cluster.local", True),
        ("mycluster.local", False),
        ("local", False),
        ("cluster.local.example.com", False),
        (".", False),
    ],
)
def test_only_names_below_the_domain_are_its_own(name: str, own: bool) -> None:
    assert zone().owns(name) is own


def test_answers_follow_the_mesh() -> None:
    local_mesh = LocalMesh()
    found = Zone(lambda: local_mesh.mesh)
    assert found.lookup("peers.shop.svc.cluster.local", family=4) is NO_NAME
    local_mesh.put(PEERS)
    assert found.lookup("peers.shop.svc.cluster.local", family=4) is NO_DATA
    local_mesh.put(POD)
    assert found.lookup("peers.shop.svc.cluster.local", family=4) == ("10.9.0.16",)


@given(st.text(max_size=30), st.sampled_from([4, 6]))
def test_any_text_has_an_answer(text: str, family: Family) -> None:
    assert zone().lookup(f"{text}.cluster.local", family=family)
