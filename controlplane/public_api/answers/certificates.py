"""`/api/v1/identity`: the certificates that proxies present to whoever connects."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypedDict

from cryptography.hazmat.primitives.serialization import Encoding

from linkerd2_py.controlplane.identity.presented import Presented, certificates_of
from linkerd2_py.controlplane.identity.trust import Trust
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.public_api.operation import Operation, Parameter

_POD = Parameter("only of the pod of this name; of all meshed ones when absent")


@dataclass(frozen=True, slots=True)
class OfPods:
    """What is asked."""

    namespace: Annotated[str, Parameter("of pods of this namespace")]
    pod: Annotated[tuple[str, ...], _POD] = ()


class PodCertificate(TypedDict):
    """What one pod's proxy presents, in PEM, or the problem instead; `verified` by the anchors."""

    namespace: str
    pod: str
    identity: str
    certificate: str | None
    verified: bool
    problem: str


class Identity(TypedDict):
    """The answer, in the order of the names, or by name."""

    pods: list[PodCertificate]


def identity(mesh: Mesh, *, trust: Callable[[], Trust] | None) -> Operation[OfPods]:
    """The operation. Nothing is verified in a mesh without identities."""

    async def answer(asked: OfPods) -> Identity:
        anchors = trust().anchors if trust else ()
        found = await certificates_of(_keys(asked, mesh=mesh), mesh=mesh, anchors=anchors)
        return {"pods": [_listed(each) for each in found]}

    summary = "The certificates that proxies present"
    return Operation("/api/v1/identity", summary, OfPods, Identity, answer)


def _keys(asked: OfPods, *, mesh: Mesh) -> list[Key]:
    if asked.pod:
        return [Key(asked.namespace, name) for name in asked.pod]
    pods = mesh.pods.values()
    return sorted(pod.key for pod in pods if pod.meshed and pod.namespace == asked.namespace)


def _listed(presented: Presented) -> PodCertificate:
    leaf = presented.certificate
    return {
        "namespace": presented.pod.namespace,
        "pod": presented.pod.name,
        "identity": presented.identity,
        "certificate": leaf.public_bytes(Encoding.PEM).decode() if leaf else None,
        "verified": presented.verified,
        "problem": presented.problem,
    }
