"""`/api/v1/deployments`: the workloads, and how many of their pods are ready."""

from typing import TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, Workload
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.public_api.answers.common import OfNamespace
from linkerd2_py.controlplane.public_api.operation import Operation


class ListedDeployment(TypedDict):
    """One workload; `restarts` are those of its pods."""

    kind: str
    namespace: str
    name: str
    labels: dict[str, str]
    replicas: int
    ready: int
    meshed: bool
    restarts: int


class Deployments(TypedDict):
    """The answer, by namespace and name."""

    deployments: list[ListedDeployment]


def deployments(mesh: Mesh) -> Operation[OfNamespace]:
    """The operation."""

    async def answer(asked: OfNamespace) -> Deployments:
        found = (each for each in mesh.workloads.values() if each.kind == DEPLOYMENT)
        wanted = sorted((each.key, each) for each in found if asked.has(each.namespace))
        return {"deployments": [_listed(each, mesh=mesh) async for _, each in in_slices(wanted)]}

    return Operation("/api/v1/deployments", "The workloads", OfNamespace, Deployments, answer)


def _listed(deployment: Workload, *, mesh: Mesh) -> ListedDeployment:
    pods = mesh.pods_of(deployment.key)
    return {
        "kind": "deployment",
        "namespace": deployment.namespace,
        "name": deployment.name,
        "labels": dict(deployment.labels),
        "replicas": deployment.replicas,
        "ready": sum(pod.serving for pod in pods),
        "meshed": deployment.meshed,
        "restarts": sum(pod.restarts for pod in pods),
    }
