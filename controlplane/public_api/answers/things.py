"""The objects of the mesh that rows are about."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from linkerd2_py.base.slices import in_slices
from linkerd2_py.controlplane.mesh.objects import Key, Labels, Pod, no_labels
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.public_api.kinds import WORKLOADS, Kind, Resource


class Thing(NamedTuple):
    """What a row is about; `pods` is None where it has none of its own."""

    key: Key
    pods: Sequence[Pod] | None = None
    labels: Labels = no_labels()


async def things_of(wanted: Resource, *, mesh: Mesh) -> list[Thing]:
    """All that are meant, in no order."""
    return [
        thing
        async for thing in in_slices(_all_things(wanted.kind, mesh=mesh))
        if wanted.name in {"", thing.key.name} and wanted.namespace in {"", thing.key.namespace}
    ]


def _all_things(kind: Kind, *, mesh: Mesh) -> Iterator[Thing]:
    # In slices: what is walked is what there was at the beginning.
    if kind is Kind.POD:
        for pod in tuple(mesh.pods.values()):
            yield Thing(pod.key, (pod,), pod.labels)
    elif kind is Kind.NAMESPACE:
        yield from _namespaces(mesh)
    elif kind in WORKLOADS:
        for owner, workload in tuple(mesh.workloads.items()):
            if owner.kind == kind.value:
                key = Key(owner.namespace, owner.name)
                yield Thing(key, mesh.pods_of(owner), workload.labels)
    else:
        yield from _without_pods(kind, mesh=mesh)


def _without_pods(kind: Kind, *, mesh: Mesh) -> Iterator[Thing]:
    if kind is Kind.SERVICE:
        for service in tuple(mesh.services.values()):
            yield Thing(service.key, None, service.labels)
    elif kind is Kind.SERVER:
        for server in tuple(mesh.servers.values()):
            yield Thing(server.key, None, server.labels)
    elif kind is Kind.SERVERAUTHORIZATION:
        yield from map(Thing, tuple(mesh.server_authorizations))
    elif kind is Kind.AUTHORIZATIONPOLICY:
        yield from map(Thing, tuple(mesh.authorization_policies))
    elif kind is Kind.HTTPROUTE:
        names = {Key(route.namespace, route.name) for route in mesh.http_routes}
        yield from map(Thing, names)


def _namespaces(mesh: Mesh) -> Iterator[Thing]:
    pods_of: dict[str, list[Pod]] = defaultdict(list)
    for pod in mesh.pods.values():
        pods_of[pod.namespace].append(pod)
    names = {key.namespace for key in (*mesh.services, *mesh.pods)}
    for name in names | {owner.namespace for owner in mesh.workloads}:
        said = mesh.namespaces.get(name)
        yield Thing(Key("", name), pods_of[name], said.labels if said else no_labels())
