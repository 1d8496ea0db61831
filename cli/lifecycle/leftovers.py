"""What a cluster has of a mesh: all objects with its label, of every kind that a control plane may be of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.objects import OF_MESH, Kind, find, kinds_of, listed

if TYPE_CHECKING:
    from linkerd2_py.controlplane.kubernetes_api import Json
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

_GROUPS: Final = frozenset(
    (
        *("", "apps", "batch", "policy", "networking.k8s.io", "coordination.k8s.io"),
        *("discovery.k8s.io", "rbac.authorization.k8s.io", "admissionregistration.k8s.io"),
        *("apiextensions.k8s.io", "apiregistration.k8s.io", "monitoring.coreos.com"),
        *("linkerd.io", "policy.linkerd.io", "workload.linkerd.io"),
    )
)
_MADE_BY_OTHERS: Final = frozenset(
    ("Pod", "ReplicaSet", "ControllerRevision", "Endpoints", "Event", "Lease", "PodTemplate")
)
"""Made of the others, and gone with them, whatever labels they have taken over."""
_CRDS: Final = "customresourcedefinitions"
_SLICES: Final = "linkerd-external-workloads-controller"
_FIRST, _MIDDLE, _LATE, _LAST = range(4)


@dataclass(frozen=True, slots=True)
class Left:
    """An object, of its kind."""

    kind: Kind
    found: Json

    @property
    def name(self) -> str:
        return str(self.found["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.found["metadata"].get("namespace") or "")

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.kind.group, self.kind.name, self.namespace, self.name)

    @property
    def turn(self) -> tuple[int, str, str, str]:
        """Nobody is asked by a webhook any more before its answerer is gone; kinds and the namespace, whose
        end takes all that is in them, come last.
        """
        turns = {"CustomResourceDefinition": _LATE, "Namespace": _LAST}
        turn = turns.get(self.kind.name, _MIDDLE)
        # While such an API has nobody behind it, no namespace can be taken away.
        if self.kind.name.endswith(("WebhookConfiguration", "APIService")):
            turn = _FIRST
        return (turn, self.kind.name, self.namespace, self.name)


async def labelled(api: ApiServer, *, namespace: str) -> list[Left]:
    """Those of the control plane in this namespace, in the order in which they are to go. CliError that names
    a kind which may not be listed.
    """
    found = [
        left
        for kind in await kinds_of(api, _GROUPS)
        if kind.name not in _MADE_BY_OTHERS
        async for left in _of_kind(api, kind, f"{OF_MESH}={namespace}")
    ]
    return sorted(found, key=lambda left: left.turn)


async def slices_of_external_workloads(api: ApiServer) -> list[Left]:
    """What a destination has written beside services of others."""
    kind = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", namespaced=True)
    selector = f"endpointslice.kubernetes.io/managed-by={_SLICES}"
    return [left async for left in _listed(api, kind, selector)]


async def kinds_of_mesh(api: ApiServer) -> list[Left]:
    """The CustomResourceDefinitions that `install --crds` prints, whoever applied them: they have no label of
    one control plane.
    """
    from linkerd2_py.charts.render import render_crds

    kind = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", _CRDS, namespaced=False)
    names = [str(one["metadata"]["name"]) for one in render_crds()]
    found = [await find(api, f"{kind.path}/{name}") for name in names]
    return [Left(kind, one) for one in found if one is not None]


async def _of_kind(api: ApiServer, kind: Kind, selector: str) -> AsyncIterator[Left]:
    async for left in _listed(api, kind, selector):
        if not any(
            one.get("controller") for one in left.found["metadata"].get("ownerReferences") or ()
        ):
            yield left


async def _listed(api: ApiServer, kind: Kind, selector: str) -> AsyncIterator[Left]:
    from linkerd2_py.controlplane.kubernetes_api import ApiError

    try:
        async for one in listed(api, kind.path, {"labelSelector": selector}):
            yield Left(kind, one)
    except ApiError as error:
        if error.status == 404:
            return
        if not error.status:
            raise
        raise CliError(f"{kind.plural} cannot be listed: {error}") from error
