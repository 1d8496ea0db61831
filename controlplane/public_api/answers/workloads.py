"""`/api/v1/deployments`: the workloads, and how many of their pods are ready."""

from typing import TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Deployment, Mesh
from linkerd2_py.controlplane.mesh.store import Registry
from linkerd2_py.controlplane.public_api.answers.common import OfNamespace, labels_of
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


def deployments(registry: Registry) -> Operation[OfNamespace]:
    """The operation."""

    async def answer(asked: OfNamespace) -> Deployments:
        mesh = registry.mesh
        wanted = sorted(item for item in mesh.deployments.items() if asked.has(item[0].namespace))
        return {"deployments": [_listed(each, mesh=mesh) async for _, each in in_slices(wanted)]}

    return Operation("/api/v1/deployments", "The workloads", OfNamespace, Deployments, answer)


def _listed(deployment: Deployment, *, mesh: Mesh) -> ListedDeployment:
    pods = list(mesh.pods_of(deployment.key))
    return {
        "kind": "deployment",
        "namespace": deployment.namespace,
        "name": deployment.name,
        "labels": labels_of(deployment.name),
        "replicas": deployment.replicas,
        "ready": sum(pod.serving for pod in pods),
        "meshed": deployment.meshed,
        "restarts": sum(pod.restarts for pod in pods),
    }
