"""What is kept of a workload outside the cluster."""

from __future__ import annotations

import pytest

from linkerd2_py.controlplane.mesh.objects import (
    DEFAULT_OPAQUE_PORTS,
    ContainerPort,
    ExternalWorkload,
    Owner,
)
from linkerd2_py.controlplane.sources.kubernetes.external_workloads import read_external_workload

ABOUT = {"namespace": "shop", "name": "vm", "labels": {"app": "vm"}}


def test_all_that_peers_must_know() -> None:
    owner = {"kind": "ExternalGroup", "name": "vms", "controller": True}
    found = read_external_workload(
        {
            "metadata": {
                **ABOUT,
                "annotations": {
                    "config.linkerd.io/opaque-ports": "25-26,http",
                    "balancer.linkerd.io/weight": "0.25",
                },
                "ownerReferences": [owner],
            },
            "spec": {
                "meshTLS": {"identity": "spiffe://mesh/vm", "serverName": "vm.mesh"},
                "workloadIPs": [{"ip": "198.51.100.4"}, {"ip": "fd00::4"}, {}],
                "ports": [{"port": 8080, "name": "http"}, {"port": 4999, "name": "linkerd-proxy"}],
            },
        }
    )
    assert found == ExternalWorkload(
        "shop",
        "vm",
        ips=("198.51.100.4", "fd00::4"),
        ports=(ContainerPort(8080, "http"), ContainerPort(4999, "linkerd-proxy")),
        identity="spiffe://mesh/vm",
        server_name="vm.mesh",
        inbound_port=4999,
        opaque_ports=frozenset({25, 26, 8080}),
        labels={"app": "vm"},
        owner=Owner("externalgroup", "vms"),
        # What policy keeps of it is tested there.
        inbound=found.inbound,
        weight=2_500,
    )
    assert ("fd00::4", 8080) in found.addresses


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ([], False),
        ([{"type": "Ready", "status": "False"}], False),
        ([{"type": "Ready", "status": "Unknown"}], False),
        ([{"type": "Seen", "status": "True"}], False),
        ([{"type": "Seen", "status": "False"}, {"type": "Ready", "status": "True"}], True),
    ],
)
def test_it_is_ready_when_somebody_says_so(conditions: list[object], ready: bool) -> None:
    found = read_external_workload({"metadata": ABOUT, "status": {"conditions": conditions}})
    assert found.ready is ready


def test_its_ports_say_what_carries_them_and_what_is_no_address_is_none() -> None:
    spec = {
        "ports": [{"port": 53, "protocol": "UDP"}],
        "workloadIPs": [{"ip": "vm"}, {"ip": "::1"}],
    }
    found = read_external_workload({"metadata": {**ABOUT, "uid": "one"}, "spec": spec})
    assert found.ports == (ContainerPort(53, protocol="UDP"),)
    assert (found.ips, found.uid) == (("::1",), "one")


def test_what_is_left_out_is_as_in_linkerd() -> None:
    found = read_external_workload({"metadata": ABOUT, "spec": None})
    assert (found.ips, found.ports, found.identity) == ((), (), "")
    assert (found.inbound_port, found.opaque_ports) == (4143, DEFAULT_OPAQUE_PORTS)
