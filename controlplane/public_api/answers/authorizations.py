"""`/api/v1/authorizations`: which objects let anybody call the pods of a resource."""

from dataclasses import dataclass
from typing import Annotated, TypedDict

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Pod
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.policy.cluster import Cluster
from linkerd2_py.controlplane.policy.inbound.listed import Allowed, allowed_to
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import WORKLOADS, Kind, parse_kind
from linkerd2_py.controlplane.public_api.operation import Operation, Parameter


@dataclass(frozen=True, slots=True)
class OfResource:
    """What is asked."""

    type: Annotated[Kind, Parameter("po, or what owns pods: deploy, sts …", read=parse_kind)]
    namespace: Annotated[str, Parameter("of this namespace")]
    name: Annotated[str, Parameter("only of this name; of all when absent")] = ""


class ListedAuthorization(TypedDict):
    """One object, with what it is about; empty where it is no such thing."""

    route: str
    server: str
    authorization_policy: str
    server_authorization: str


class Authorizations(TypedDict):
    """The answer, in the order of the columns; `pods` is how many there are to call."""

    pods: int
    authorizations: list[ListedAuthorization]


def authorizations(mesh: Mesh, *, cluster: Cluster) -> Operation[OfResource]:
    """The operation."""

    async def answer(asked: OfResource) -> Authorizations:
        if asked.type not in WORKLOADS | {Kind.POD}:
            raise InvalidQueryError(f"nobody calls a {asked.type}: use po, or what owns pods")
        pods = [pod for pod in mesh.pods.values() if _is_asked(pod, asked)]
        found = {
            _listed(one)
            async for pod in in_slices(pods)
            for one in allowed_to(pod.key, mesh=mesh, cluster=cluster)
        }
        return {"pods": len(pods), "authorizations": [_row(row) for row in sorted(found)]}

    summary = "Which objects let anybody call the pods of a resource"
    return Operation("/api/v1/authorizations", summary, OfResource, Authorizations, answer)


def _is_asked(pod: Pod, asked: OfResource) -> bool:
    if pod.namespace != asked.namespace:
        return False
    if asked.type is Kind.POD:
        return asked.name in {"", pod.name}
    owner = pod.owner
    return owner is not None and owner.kind == asked.type and asked.name in {"", owner.name}


def _listed(one: Allowed) -> tuple[str, str, str, str]:
    name = one.authorization.name
    is_policy = one.authorization.kind == "authorizationpolicy"
    route = one.route.name if one.route else ""
    return route, one.server.name, name if is_policy else "", "" if is_policy else name


def _row(row: tuple[str, str, str, str]) -> ListedAuthorization:
    route, server, policy, authorization = row
    return {
        "route": route,
        "server": server,
        "authorization_policy": policy,
        "server_authorization": authorization,
    }
