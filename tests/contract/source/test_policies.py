"""The same policies give the same bytes from `OutboundPolicies` and `InboundServerPolicies`, whether a
mesh.yaml says them, on loopback addresses or in network namespaces, or objects of a cluster do;
L5D_UPDATE_GOLDEN=1 writes them anew.

Each file of `policies` has first what services of a mesh.yaml say, or `egress` of the file, then the objects of the same meaning. A
Service there has only annotations. Objects that nobody hears the name of may have others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import text_format
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.mesh.inbound import InboundSettings, NamedPort
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.inbound.questions import port_question
from linkerd2_py.controlplane.policy.outbound.targets import (
    Abilities,
    AddressTarget,
    NamedTarget,
    Question,
)
from linkerd2_py.controlplane.policy.policy import Policy
from linkerd2_py.controlplane.policy.settings import Settings
from linkerd2_py.controlplane.sources.local.mesh_file import parse_mesh
from linkerd2_py.controlplane.sources.local.mesh_spec import MeshSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.controlplane.sources.local.source import LocalSource
from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from tests.support.as_listed import listed
from tests.support.golden import assert_golden

CASES = sorted((Path(__file__).parent / "policies").glob("*.yaml"))
NAMESPACE = "shop"
POD = "shop:web-0"
OUTSIDE = "203.0.113.9"
ABLE = Abilities(rewrites=True, breaks_routes=True)
IPS = {"web": "10.96.0.10", "feed": "10.96.0.11", "web-v2": "10.96.0.12"}
SERVICES: dict[str, dict[str, Any]] = {
    "web": {"workload": "web", "port": 80, "targetPort": 8080},
    "feed": {"workload": "web", "port": 90, "targetPort": 9090, "opaque": True},
    "web-v2": {"workload": "web-v2", "port": 80, "targetPort": 8080},
}
WORKLOADS = {name: {"command": ["run"]} for name in ("web", "web-v2", "bot")}


@dataclass(frozen=True)
class Told:
    """A store that some source has filled, and what a port of the pod is asked for by."""

    store: MeshStore
    numbers: dict[int, int]
    by_address: bool = True


@cache
def case(path: Path) -> tuple[Any, ...]:
    return tuple(yaml.safe_load_all(path.read_text()))


def mesh(path: Path) -> MeshSpec:
    said = case(path)[0]
    services = {name: fields | said.get(name, {}) for name, fields in SERVICES.items()}
    of_file = {name: said[name] for name in ("egress",) if name in said}
    text = yaml.safe_dump(
        {"namespace": NAMESPACE, "services": services, "workloads": WORKLOADS, **of_file},
        sort_keys=False,
    )
    return parse_mesh(text, source=path.name)


def namespaces(path: Path) -> Told:
    """A mesh.yaml where every pod has its ports to itself."""
    return _local(path, {8080: 8080, 9090: 9090}, ips=IPS)


def loopback(path: Path) -> Told:
    """A mesh.yaml where ports are what was free, and services have no address."""
    return _local(path, {8080: 30001, 9090: 30002}, ips={})


def _local(path: Path, numbers: dict[int, int], *, ips: dict[str, str]) -> Told:
    spec, store = mesh(path), MeshStore()
    source = LocalSource(store)
    source.describe(
        services=[
            replace(one, ips=(ips[one.name],)) if ips else one for one in spec.services.values()
        ],
        workloads=spec.deployments,
        policies=spec.policies,
    )
    said = InboundSettings(
        names=tuple(NamedPort(str(target), number) for target, number in numbers.items()),
        opaque=frozenset({numbers[9090]}),
    )
    source.put(Replica(NAMESPACE, "web-0", "web", "10.1.0.10", numbers, inbound=said))
    return Told(store, numbers, by_address=bool(ips))


def kubernetes(path: Path) -> Told:
    """Objects of a cluster, as an API server lists them."""
    objects = [dict(one) for one in case(path)[1:]]
    annotations = {
        one["metadata"]["name"]: one["metadata"]["annotations"]
        for one in objects
        if one["kind"] == "Service"
    }
    found = [one for one in objects if one["kind"] != "Service"]
    found.append({"kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for name, fields in SERVICES.items():
        found.append(_service(name, fields, annotations=annotations.get(name, {})))
    about = {
        "name": "web-0",
        "namespace": NAMESPACE,
        "labels": {"app": "web", "linkerd.io/control-plane-ns": "linkerd"},
        "annotations": {"config.linkerd.io/opaque-ports": "9090"},
    }
    status = {"phase": "Running", "podIPs": [{"ip": "10.1.0.10"}]}
    found.append({"kind": "Pod", "apiVersion": "v1", "metadata": about, "status": status})
    return Told(listed(found), {8080: 8080, 9090: 9090})


def _service(name: str, fields: dict[str, Any], *, annotations: dict[str, str]) -> dict[str, Any]:
    opaque = str(fields["port"]) if fields.get("opaque") else ""
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "annotations": {**annotations, "config.linkerd.io/opaque-ports": opaque},
        },
        "spec": {
            "selector": {"app": fields["workload"]},
            "clusterIPs": [IPS[name]],
            "ports": [{"port": fields["port"], "targetPort": fields["targetPort"]}],
        },
    }


@pytest.mark.parametrize("tell", [namespaces, loopback, kubernetes])
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
async def test_policies(path: Path, tell: Any) -> None:
    told = tell(path)
    policy = Policy(told.store, settings=Settings(), metrics=CollectorRegistry())
    lines: list[str] = []
    for name, port in (("web", 80), ("feed", 90)):
        question = Question(NamedTarget(Key(NAMESPACE, name), port), NAMESPACE, *ABLE)
        named = await policy.outbound.now(question)
        lines += _written(f"{name}:{port}", named, outbound.OutboundPolicy())
        if told.by_address:
            address = AddressTarget(IPv4Address(IPS[name]), port)
            asked = Question(address, NAMESPACE, *ABLE)
            assert await policy.outbound.now(asked) == named
    if "egress" in case(path)[0]:
        for port in (80, 443, 8443, 25):
            outside = Question(AddressTarget(IPv4Address(OUTSIDE), port), NAMESPACE)
            answer = await policy.outbound.now(outside)
            lines += _written(f"{OUTSIDE}:{port}", answer, outbound.OutboundPolicy())
    for target in (8080, 9090):
        asked_port = port_question(POD, told.numbers[target], tokens=True, external=True)
        answer = await policy.inbound.now(asked_port)
        lines += _written(f"port {target} of web-0", answer, inbound.Server())
    policy.close()
    assert_golden(f"source/policy_{path.stem}.golden", "\n".join(lines) + "\n")


def _written(title: str, encoded: bytes, kind: Message) -> Iterator[str]:
    """To be read by people, and the very bytes."""
    kind.ParseFromString(encoded)
    yield f"## {title}"
    yield text_format.MessageToString(kind).rstrip()
    yield f"# {encoded.hex()}"
