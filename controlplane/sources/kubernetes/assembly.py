"""From what the API lists to the objects of the mesh, which are often made of several: a pod's owner is its
ReplicaSet's Deployment, its zone is its node's, and who serves a port of a service is said by slices.

A kind of the mesh is published once everything is listed that it is made of; from then on each change of a
part is published as a change of what is made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import (
    DEFAULT_OPAQUE_PORTS,
    Endpoints,
    Key,
    MeshObject,
    Namespace,
    Node,
    Pod,
    Service,
    Workload,
    WorkloadKey,
)
from linkerd2_py.controlplane.mesh.slices import WorkloadSlice
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.mesh.table import Table
from linkerd2_py.controlplane.sources.kubernetes.pods import OPAQUE_PORTS
from linkerd2_py.controlplane.sources.kubernetes.services import (
    ServiceAsSaid,
    Slice,
    endpoints_of,
)
from linkerd2_py.controlplane.sources.kubernetes.workloads import OwnedWorkload

T = TypeVar("T", bound=MeshObject)
Kind = type[MeshObject]
Made = tuple[Kind, Hashable, MeshObject | None]
"""A kind of the mesh, the key of one object of it, and what that is now: None where it is no more."""
# What a controller of theirs makes pods through; a pod is said to be that controller's.
_BETWEEN: Final = frozenset({"replicaset", "job"})


class Assembly:
    """Keeps the parts by what they are called, and fills `store` with what is made of them.

    `parts` are the tables that sinks fill; after each change of one they call `changed`, after each list
    `listed`.
    """

    def __init__(
        self,
        store: MeshStore,
        *,
        workload_kinds: Iterable[str],
        default_opaque_ports: frozenset[int] = DEFAULT_OPAQUE_PORTS,
    ) -> None:
        self._store = store
        self._default_opaque_ports = default_opaque_ports
        self.namespaces: Table[str, Namespace] = Table()
        self.nodes: Table[str, Node] = Table()
        self.pods: Table[Key, Pod] = Table()
        self.services: Table[Key, ServiceAsSaid] = Table()
        self.slices: Table[Key, Slice] = Table()
        self.workloads: dict[str, Table[WorkloadKey, OwnedWorkload]] = {
            kind: Table() for kind in workload_kinds
        }
        self._pods_by_owner = self.pods.index(_owners)
        self._pods_by_node = self.pods.index(lambda pod: (pod.node,))
        self._services_by_namespace = self.services.index(lambda one: (one.key.namespace,))
        self._slices_by_service = self.slices.index(lambda one: (one.service,))
        owners = [table for kind, table in self.workloads.items() if kind in _BETWEEN]
        self._workloads_by_owner = [table.index(_owners_of_workload) for table in owners]
        self._needs: dict[Kind, Sequence[Table[Any, Any]]] = {
            Namespace: (self.namespaces,),
            Node: (self.nodes,),
            Service: (self.services, self.namespaces),
            Endpoints: (self.slices, self.services),
            WorkloadSlice: (self.slices,),
            # Zones are good to know; pods without one are pods.
            Pod: (self.pods, *owners),
            Workload: (*self.workloads.values(), self.pods),
        }
        self._made_of_part: dict[Kind, Callable[[Change], Iterator[Made]]] = {
            Namespace: self._made_of_namespace,
            Node: self._made_of_node,
            Pod: self._made_of_pod,
            ServiceAsSaid: self._made_of_service,
            Slice: self._made_of_slice,
            OwnedWorkload: self._made_of_workload,
        }

    def listed(self, table: Table[Any, Any], changes: Sequence[Change]) -> None:
        """All of a part is known: publish what had waited for it, and what it changes of what
        is published.
        """
        known = set(self._published())
        table.listed.set()
        ready = [kind for kind in self._needs if kind not in known and self._is_ready(kind)]
        if ready:
            self._store.replace({kind: list(self._all(kind)) for kind in ready})
        self.changed(changes)

    def changed(self, changes: Iterable[Change]) -> None:
        """Publish what these changes of parts make of the mesh, as one batch."""
        known = set(self._published())
        put: dict[tuple[Kind, Hashable], MeshObject] = {}
        gone: dict[tuple[Kind, Hashable], None] = {}
        for change in changes:
            for kind, key, made in self._made_of(change):
                if kind not in known:
                    continue
                if made is None:
                    gone[kind, key] = None
                    put.pop((kind, key), None)
                else:
                    put[kind, key] = made
                    gone.pop((kind, key), None)
        self._store.apply(put=put.values(), gone=gone)

    def _published(self) -> Iterator[Kind]:
        return (kind for kind in self._needs if self._store.mesh.is_synced(kind))

    def _is_ready(self, kind: Kind) -> bool:
        return all(table.listed.is_set() for table in self._needs[kind])

    def _all(self, kind: Kind) -> Iterable[MeshObject]:
        """Every object of a kind of the mesh, as the parts have it now."""
        if kind is Namespace:
            return self.namespaces.values()
        if kind is Node:
            return self.nodes.values()
        if kind is Service:
            return (self._service(one) for one in self.services.values())
        if kind is Endpoints:
            return (made for one in self.services.values() for made in self._endpoints(one))
        if kind is WorkloadSlice:
            return (one.ours for one in self.slices.values() if one.ours)
        if kind is Pod:
            return (self._pod(one) for one in self.pods.values())
        return (self._workload(one) for table in self.workloads.values() for one in table.values())

    def _made_of(self, change: Change) -> Iterator[Made]:
        """Everything that a part is in."""
        return self._made_of_part[type(change.subject)](change)

    def _made_of_namespace(self, change: Change) -> Iterator[Made]:
        yield Namespace, change.subject.key, change.after
        for service in self._services_by_namespace[str(change.subject.key)]:
            yield Service, service.key, self._service(service)

    def _made_of_node(self, change: Change) -> Iterator[Made]:
        yield Node, change.subject.key, change.after
        for pod in self._pods_by_node[str(change.subject.key)]:
            yield Pod, pod.key, self._pod(pod)

    def _made_of_workload(self, change: Change) -> Iterator[Made]:
        for side in (change.before, change.after):
            if isinstance(side, OwnedWorkload):
                now = self.workloads[side.key.kind].get(side.key)
                yield Workload, side.key, now and self._workload(now)
                for pod in self._pods_by_owner[side.key]:
                    yield Pod, pod.key, self._pod(pod)
                for owner in _owners_of_workload(side):
                    yield from self._made_of_owner(owner)

    def _made_of_pod(self, change: Change) -> Iterator[Made]:
        for side in (change.before, change.after):
            if isinstance(side, Pod):
                now = self.pods.get(side.key)
                yield Pod, side.key, now and self._pod(now)
                # Both what made it, and what that was made by.
                yield from self._made_of_owner(side.owner_key)
                yield from self._made_of_owner(self._pod(side).owner_key)

    def _made_of_owner(self, key: WorkloadKey | None) -> Iterator[Made]:
        """The workload of this key, which may have become meshed, or be so no more."""
        table = self.workloads.get(key.kind) if key else None
        owned = table.get(key) if table and key else None
        if owned:
            yield Workload, owned.key, self._workload(owned)

    def _made_of_service(self, change: Change) -> Iterator[Made]:
        for side in (change.before, change.after):
            if isinstance(side, ServiceAsSaid):
                now = self.services.get(side.key)
                yield Service, side.key, now and self._service(now)
                yield from self._made_of_slices(side.key)

    def _made_of_slice(self, change: Change) -> Iterator[Made]:
        for side in (change.before, change.after):
            if isinstance(side, Slice):
                now = self.slices.get(side.key)
                yield WorkloadSlice, side.key, now and now.ours
                yield from self._made_of_slices(side.service)

    def _made_of_slices(self, key: Key) -> Iterator[Made]:
        """The Endpoints of all ports that a service has or had."""
        for known in self._store.mesh.endpoints_of(key):
            yield Endpoints, known.key, None
        said = self.services.get(key)
        for made in self._endpoints(said) if said else ():
            yield Endpoints, made.key, made

    def _service(self, said: ServiceAsSaid) -> Service:
        namespace = self.namespaces.get(said.key.namespace)
        says = namespace.annotations.get(OPAQUE_PORTS) if namespace else None
        return said.in_namespace(says, default=self._default_opaque_ports)

    def _endpoints(self, said: ServiceAsSaid) -> Iterator[Endpoints]:
        return endpoints_of(said.service, slices=self._slices_by_service[said.key])

    def _pod(self, pod: Pod) -> Pod:
        """With the owner that a person means, and the zone of its node."""
        owner, key = pod.owner, pod.owner_key
        if key and key.kind in _BETWEEN:
            between = self.workloads[key.kind].get(key)
            owner = (between and between.owner) or owner
        node = self.nodes.get(pod.node)
        zone = node.zone if node else ""
        return (
            pod if (owner, zone) == (pod.owner, pod.zone) else replace(pod, owner=owner, zone=zone)
        )

    def _workload(self, owned: OwnedWorkload) -> Workload:
        meshed = any(pod.meshed for pod in self._pods_behind(owned.key))
        return replace(owned.workload, meshed=True) if meshed else owned.workload

    def _pods_behind(self, key: WorkloadKey) -> Iterator[Pod]:
        """Its pods, and those of what it makes pods through."""
        yield from self._pods_by_owner[key]
        for index in self._workloads_by_owner:
            for between in index[key]:
                yield from self._pods_by_owner[between.key]


def _owners(pod: Pod) -> tuple[WorkloadKey, ...]:
    key = pod.owner_key
    return (key,) if key else ()


def _owners_of_workload(owned: OwnedWorkload) -> tuple[WorkloadKey, ...]:
    owner = owned.owner
    return (WorkloadKey(owner.kind, owned.key.namespace, owner.name),) if owner else ()


class TableSink(Generic[T]):
    """Fills one table of an assembly with what is read of the objects of the API."""

    def __init__(
        self, table: Table[Any, T], *, read: Callable[[Json], T], assembly: Assembly
    ) -> None:
        self._table = table
        self._read = read
        self._assembly = assembly

    def read(self, found: Json) -> T:
        """What is kept of it."""
        return self._read(found)

    def replace(self, objects: Sequence[T]) -> None:
        """The table holds these from now on, and is listed."""
        self._assembly.listed(self._table, self._table.replace(objects))

    def put(self, found: T) -> None:
        """One more, or another in its place."""
        self._assembly.changed(self._table.put(found))

    def remove(self, found: T) -> None:
        """One less."""
        self._assembly.changed(self._table.drop(found.key))
