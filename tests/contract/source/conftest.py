"""Every source, told of the same mesh. A further one is a further parameter of `store`, with
what tells it.
"""

import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from linkerd2_py.controlplane.mesh.objects import Family, of_family
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.local.mesh_file import parse_mesh
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.controlplane.sources.local.source import LocalSource
from tests.contract.source import described
from tests.contract.source.described import NAMESPACE, DescribedPod, DescribedService
from tests.support.as_listed import listed

# As people write it, here and there.
PROFILE_SPEC = """
routes:
  - name: GET /books
    condition: {all: [{method: GET}, {pathRegex: '/books/[^/]*'}]}
    responseClasses:
      - {condition: {status: {min: 500, max: 599}}, isFailure: true}
    isRetryable: true
    timeout: 300ms
  - {name: others, condition: {not: {pathRegex: /private.*}}}
retryBudget: {retryRatio: 0.5, minRetriesPerSecond: 5, ttl: 20s}
"""
MESH_YAML = f"""
namespace: {NAMESPACE}
services:
  web: {{workload: web}}
workloads:
  web: {{command: [web]}}
profiles:
  web:
{textwrap.indent(PROFILE_SPEC, "    ")}
"""


def local() -> MeshStore:
    """As the supervisor of a mesh in network namespaces tells it."""
    store = MeshStore()
    source = LocalSource(store)
    source.describe(
        services=[
            ServiceSpec(NAMESPACE, one.name, one.workload, one.ports, one.ips)
            for one in described.SERVICES
        ],
        workloads=[described.workload(name) for name in described.WORKLOADS],
        profiles=parse_mesh(MESH_YAML, source="mesh.yaml").profiles,
    )
    for one in described.PODS:
        source.put(_replica(one))
    return store


def _replica(one: DescribedPod) -> Replica:
    return Replica(
        NAMESPACE,
        one.name,
        one.workload,
        one.ips[0],
        {port: port for port in one.ports},
        ready=one.ready,
        meshed=one.meshed,
        status="Running",
        ip6=next(iter(one.ips[1:]), ""),
        intercepted=one.meshed,
        skipped_ports=described.SKIPPED if one.meshed else frozenset(),
        service_account=one.workload,
        identity=one.identity,
        inbound_port=described.INBOUND_PORT if one.meshed else 0,
    )


def kubernetes() -> MeshStore:
    """As an API server lists it. Nobody says there that a port of `db` is as its protocol mostly is."""
    found: list[dict[str, Any]] = [{"kind": "Namespace", "metadata": {"name": NAMESPACE}}]
    for name, replicas in described.WORKLOADS.items():
        found.append(_of("Deployment", name, name, spec={"replicas": replicas}))
        owned = _of("ReplicaSet", f"{name}-1", name)
        owned["metadata"]["ownerReferences"] = [_owner("Deployment", name)]
        found.append(owned)
    found += [_pod(one) for one in described.PODS]
    for service in described.SERVICES:
        found.append(_service(service))
        found += [_slice(service, family=family) for family in (4, 6)]
    found.append(
        {
            "kind": "ServiceProfile",
            "apiVersion": "linkerd.io/v1alpha2",
            "metadata": {"namespace": NAMESPACE, "name": described.PROFILE.name},
            "spec": yaml.safe_load(PROFILE_SPEC),
        }
    )
    return listed(found)


def _of(kind: str, name: str, app: str, **fields: Any) -> dict[str, Any]:
    about = {"namespace": NAMESPACE, "name": name, "labels": {"app": app}}
    return {"kind": kind, "apiVersion": "v1", "metadata": about, **fields}


def _owner(kind: str, name: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "controller": True}


def _pod(one: DescribedPod) -> dict[str, Any]:
    found = _of("Pod", one.name, one.workload, spec={"serviceAccountName": one.workload})
    about = found["metadata"]
    about["ownerReferences"] = [_owner("ReplicaSet", f"{one.workload}-1")]
    about["annotations"] = {
        "config.linkerd.io/skip-inbound-ports": "4190,4191",
        "config.linkerd.io/opaque-ports": "9090" if one.workload == "web" else "",
    }
    if one.meshed:
        about["labels"] = {**about["labels"], "linkerd.io/control-plane-ns": "linkerd"}
    found["status"] = {
        "phase": "Running",
        "podIPs": [{"ip": ip} for ip in one.ips],
        "conditions": [{"type": "Ready", "status": str(one.ready)}],
    }
    return found


def _service(one: DescribedService) -> dict[str, Any]:
    found = _of("Service", one.name, one.workload)
    opaque = ",".join(str(port.port) for port in one.ports if port.opaque)
    found["metadata"]["annotations"] = {"config.linkerd.io/opaque-ports": opaque}
    found["spec"] = {
        "selector": {"app": one.workload},
        "clusterIPs": list(one.ips),
        "ports": [
            {"name": port.name, "port": port.port, "targetPort": port.target_port}
            for port in one.ports
        ],
    }
    return found


def _slice(one: DescribedService, *, family: Family) -> dict[str, Any]:
    found = _of("EndpointSlice", f"{one.name}-{family}", one.name)
    found["metadata"]["labels"] = {"kubernetes.io/service-name": one.name}
    found["addressType"] = f"IPv{family}"
    found["ports"] = [{"name": port.name, "port": port.target_port} for port in one.ports]
    found["endpoints"] = [
        {
            "addresses": list(of_family(pod.ips, family=family)),
            "conditions": {"ready": pod.ready},
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": pod.name},
            "hostname": pod.name,
        }
        for pod in described.PODS
        if pod.workload == one.workload
    ]
    return found


@pytest.fixture(params=[local, kubernetes])
def store(request: pytest.FixtureRequest) -> MeshStore:
    """The mesh of `described`, as one of the sources has published it."""
    tell: Callable[[], MeshStore] = request.param
    return tell()
