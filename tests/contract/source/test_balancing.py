"""The same weights and zones give the same bytes from `Get`, whether a mesh.yaml says them or objects of a
cluster do.
"""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.local.mesh_file import parse_mesh
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.controlplane.sources.local.source import LocalSource
from linkerd2_py.proto.gen import destination_pb2 as messages
from tests.support.as_listed import listed

PATH = "web.shop.svc.cluster.local:80"
ZONES = ("eu-1.a", "eu-1.b", "eu-1.a")
WEIGHTS = ("1", "2.5", "0.001")
MESH_YAML = """
namespace: shop
services:
  web: {workload: web, port: 80, targetPort: 8080, preferZone: true}
workloads:
  web:
    command: [web]
    replicas: 3
    weight: [1, 2.5, 0.001]
    zone: [eu-1.a, eu-1.b]
"""


def local() -> MeshStore:
    store, spec = MeshStore(), parse_mesh(MESH_YAML, source="mesh.yaml")
    source = LocalSource(store)
    source.describe(services=spec.services.values(), workloads=spec.deployments)
    web = spec.workloads["web"]
    for number in range(3):
        source.put(
            Replica(
                "shop",
                f"web-{number}",
                "web",
                f"10.1.0.{number}",
                {8080: 8080},
                ready=True,
                meshed=False,
                status="Running",
                weight=web.weight(number),
                zone=web.zone(number),
            )
        )
    return store


def kubernetes() -> MeshStore:
    found: list[dict[str, Any]] = [
        {"kind": "Namespace", "metadata": {"name": "shop"}},
        _of("ReplicaSet", "web-1", ownerReferences=[_owner("Deployment", "web")]),
        _of("Service", "web", annotations={"balancer.linkerd.io/prefer-zone": "true"})
        | {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}},
    ]
    for zone in set(ZONES):
        labels = {"topology.kubernetes.io/zone": zone}
        found.append({"kind": "Node", "metadata": {"name": zone, "labels": labels}})
    for number, weight in enumerate(WEIGHTS):
        pod = _of(
            "Pod",
            f"web-{number}",
            ownerReferences=[_owner("ReplicaSet", "web-1")],
            annotations={"balancer.linkerd.io/weight": weight},
        )
        pod["status"] = {
            "phase": "Running",
            "podIPs": [{"ip": f"10.1.0.{number}"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        found.append(pod)
    ends = [
        {
            "addresses": [f"10.1.0.{number}"],
            "zone": zone,
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": f"web-{number}"},
        }
        for number, zone in enumerate(ZONES)
    ]
    slices = _of("EndpointSlice", "web-4")
    slices["metadata"]["labels"] = {"kubernetes.io/service-name": "web"}
    found.append(slices | {"addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": ends})
    return listed(found)


def _of(kind: str, name: str, **about: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": name, "labels": {"app": "web"}, **about}
    return {"kind": kind, "apiVersion": "v1", "metadata": metadata}


def _owner(kind: str, name: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "controller": True}


async def told(store: MeshStore, *, node: str, prefers_near: bool) -> bytes:
    destination = Destination(store, metrics=CollectorRegistry())
    asked = destination.endpoints_question(
        PATH, f'{{"nodeName": "{node}"}}', prefers_near=prefers_near
    )
    (encoded,) = await destination.endpoints.snapshot(asked)
    destination.close()
    return encoded


@pytest.mark.parametrize("node", ["eu-1.a", "eu-1.b", "elsewhere"])
@pytest.mark.parametrize("prefers_near", [False, True])
async def test_a_file_and_objects_are_told_alike(node: str, prefers_near: bool) -> None:
    encoded = await told(local(), node=node, prefers_near=prefers_near)
    assert encoded == await told(kubernetes(), node=node, prefers_near=prefers_near)
    addresses = messages.Update.FromString(encoded).add.addrs
    assert [one.weight for one in addresses] == [10_000, 25_000, 10]
    assert [one.near for one in addresses] == [prefers_near and zone == node for zone in ZONES]
