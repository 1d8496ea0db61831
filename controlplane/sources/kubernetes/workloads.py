"""Owners of pods: who stands behind a pod in the end, and how many replicas that wants."""

from __future__ import annotations

from dataclasses import dataclass

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.objects import MeshObject, Owner, Workload, WorkloadKey
from linkerd2_py.controlplane.sources.kubernetes.fields import key_of, labels, mapping, number
from linkerd2_py.controlplane.sources.kubernetes.pods import read_owner


@dataclass(frozen=True, slots=True)
class OwnedWorkload(MeshObject):
    """A workload, not known to be meshed yet, with its own owner where it has one: a ReplicaSet's
    Deployment.
    """

    workload: Workload
    owner: Owner | None

    @property
    def key(self) -> WorkloadKey:
        """Kind, namespace and name of the workload."""
        return self.workload.key


def read_workload(found: Json, *, kind: str) -> OwnedWorkload:
    """A workload of this kind (in lower case). No replicas are known of what is listed by metadata alone."""
    namespace, name = key_of(found)
    workload = Workload(
        kind,
        namespace,
        name,
        replicas=_wanted(found),
        meshed=False,
        labels=labels(found, "metadata", "labels"),
    )
    return OwnedWorkload(workload, read_owner(found))


def _wanted(found: Json) -> int:
    """A DaemonSet wants one on each node that suits it, a Job so many at a time; others say so, and mean 1
    where they do not.
    """
    if "desiredNumberScheduled" in mapping(found, "status"):
        return number(found, "status", "desiredNumberScheduled")
    spec = mapping(found, "spec")
    for field in ("replicas", "parallelism"):
        if field in spec:
            return number(spec, field)
    return 1 if spec else 0
