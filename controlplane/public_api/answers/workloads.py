"""`/api/v1/workloads`: what owns pods, of every kind, and how many of them are ready."""

from dataclasses import dataclass
from typing import Annotated, Final, TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Workload
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import KIND_NAMES, WORKLOADS, Kind, parse_kind
from linkerd2_py.controlplane.public_api.operation import Operation, Parameter

_NAMES: Final = [name for name in KIND_NAMES if parse_kind(name) in WORKLOADS]


@dataclass(frozen=True, slots=True)
class OfKind:
    """What is asked."""

    namespace: Annotated[str, Parameter("only of this namespace; all when absent")] = ""
    type: Annotated[Kind | None, Parameter("only of this type: deploy …", parse_kind, _NAMES)] = (
        None
    )

    def has(self, workload: Workload) -> bool:
        """Whether it is asked about."""
        is_there = self.namespace in {"", workload.namespace}
        return is_there and (self.type is None or workload.kind == self.type.value)


class ListedWorkload(TypedDict):
    """One workload; `restarts` are those of its pods."""

    kind: str
    namespace: str
    name: str
    labels: dict[str, str]
    replicas: int
    ready: int
    meshed: bool
    restarts: int


class Workloads(TypedDict):
    """The answer, by kind, namespace and name."""

    workloads: list[ListedWorkload]


def workloads(mesh: Mesh) -> Operation[OfKind]:
    """The operation."""

    async def answer(asked: OfKind) -> Workloads:
        if asked.type is not None and asked.type not in WORKLOADS:
            raise InvalidQueryError(f"a {asked.type} owns no pods: use deploy, sts, ds …")
        wanted = sorted((each.key, each) for each in mesh.workloads.values() if asked.has(each))
        return {"workloads": [_listed(each, mesh=mesh) async for _, each in in_slices(wanted)]}

    return Operation("/api/v1/workloads", "What owns pods", OfKind, Workloads, answer)


def _listed(workload: Workload, *, mesh: Mesh) -> ListedWorkload:
    pods = mesh.pods_of(workload.key)
    return {
        "kind": workload.kind,
        "namespace": workload.namespace,
        "name": workload.name,
        "labels": dict(workload.labels),
        "replicas": workload.replicas,
        "ready": sum(pod.serving for pod in pods),
        "meshed": workload.meshed,
        "restarts": sum(pod.restarts for pod in pods),
    }
