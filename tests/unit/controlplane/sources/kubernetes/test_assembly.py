"""Whatever the order in which parts are listed and change, the mesh is that of the parts as they are in the
end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from linkerd2_py.controlplane.mesh.objects import (
    Endpoints,
    Key,
    MeshObject,
    Namespace,
    Owner,
    Pod,
    PortSpec,
    Service,
    Workload,
    WorkloadKey,
)
from linkerd2_py.controlplane.mesh.slices import WorkloadSlice
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.mesh.table import Table
from linkerd2_py.controlplane.sources.kubernetes.assembly import Assembly, Node, TableSink
from linkerd2_py.controlplane.sources.kubernetes.services import (
    OPAQUE_PORTS,
    ServiceAsSaid,
    Slice,
    SliceEndpoint,
)
from linkerd2_py.controlplane.sources.kubernetes.workloads import OwnedWorkload

KINDS = ("deployment", "replicaset")


class Cluster:
    """An assembly with a sink for each of its parts."""

    def __init__(self) -> None:
        self.store = MeshStore()
        self.assembly = Assembly(self.store, workload_kinds=KINDS)
        tables: dict[str, Table[Any, Any]] = {
            "namespace": self.assembly.namespaces,
            "node": self.assembly.nodes,
            "pod": self.assembly.pods,
            "service": self.assembly.services,
            "slice": self.assembly.slices,
            **self.assembly.workloads,
        }
        self.sinks: dict[str, TableSink[Any]] = {
            name: TableSink(table, read=lambda found: found, assembly=self.assembly)
            for name, table in tables.items()
        }
        self.held: dict[str, dict[Any, MeshObject]] = {name: {} for name in tables}

    def list(self, part: str, objects: Iterable[MeshObject]) -> None:
        self.held[part] = {one.key: one for one in objects}
        self.sinks[part].replace(list(self.held[part].values()))

    def put(self, part: str, one: MeshObject) -> None:
        self.held[part][one.key] = one
        self.sinks[part].put(one)

    def remove(self, part: str, one: MeshObject) -> None:
        self.held[part].pop(one.key, None)
        self.sinks[part].remove(one)

    def mesh(self) -> dict[str, dict[Any, MeshObject]]:
        return {kind.__name__: dict(table) for kind, table in self.store.mesh.tables.items()}

    def afresh(self) -> dict[str, dict[Any, MeshObject]]:
        """The mesh of one that lists what there is now."""
        other = Cluster()
        for part, objects in self.held.items():
            other.list(part, objects.values())
        return other.mesh()


def _ours(one: Slice, version: str) -> Slice:
    """As somebody writes it for external workloads."""
    written = WorkloadSlice(
        one.namespace, one.name, one.service.name, "uid", 4, (), (), version=version
    )
    return replace(one, ours=written)


_names = st.sampled_from(["a", "b"])
_owners = st.none() | st.builds(Owner, st.sampled_from(KINDS), _names)
_OBJECTS: dict[str, st.SearchStrategy[Any]] = {
    "namespace": st.builds(
        Namespace, _names, annotations=st.sampled_from([{}, {OPAQUE_PORTS: "80"}])
    ),
    "node": st.builds(Node, _names, _names),
    "pod": st.builds(
        Pod, _names, _names, owner=_owners, node=_names, meshed=st.booleans(), ready=st.booleans()
    ),
    "service": st.builds(
        ServiceAsSaid,
        st.builds(
            Service,
            _names,
            _names,
            st.sampled_from([(PortSpec("http", 80, "http"),), (PortSpec("http", 81, 8080),)]),
        ),
        st.sampled_from([None, "80", ""]),
    ),
    "slice": st.builds(
        Slice,
        _names,
        _names,
        st.builds(Key, _names, _names),
        st.sampled_from([{"http": 8080}, {}]),
        st.lists(
            st.builds(
                SliceEndpoint,
                st.just(("10.0.0.1",)),
                st.booleans(),
                st.none() | st.builds(Key, _names, _names),
                st.just(""),
                st.just(""),
            ),
            max_size=2,
        ).map(tuple),
    ).flatmap(lambda one: st.sampled_from([one, _ours(one, "1"), _ours(one, "2")])),
    **{
        kind: st.builds(
            OwnedWorkload,
            st.builds(Workload, st.just(kind), _names, _names, st.just(1), meshed=st.just(False)),
            st.none()
            if kind == "deployment"
            else st.none() | st.builds(Owner, st.just("deployment"), _names),
        )
        for kind in KINDS
    },
}
_changes = st.one_of(
    *(
        st.tuples(st.sampled_from(["put", "remove"]), st.just(part), objects)
        for part, objects in _OBJECTS.items()
    ),
    *(
        st.tuples(st.just("list"), st.just(part), st.lists(objects, max_size=3))
        for part, objects in _OBJECTS.items()
    ),
)


@settings(max_examples=400)
@given(
    first=st.permutations(list(_OBJECTS)),
    changes=st.lists(_changes, max_size=12),
    early=st.integers(0, 6),
)
def test_the_mesh_is_that_of_the_parts(
    first: list[str], changes: list[tuple[Any, ...]], early: int
) -> None:
    """Some changes come between the first lists, for kinds are listed beside each other."""
    cluster = Cluster()
    for number, part in enumerate(first):
        cluster.list(part, ())
        if number == early:
            for what, where, given_objects in changes[:4]:
                if where in first[: number + 1]:
                    getattr(cluster, what)(where, given_objects)
    for what, where, given_objects in changes:
        getattr(cluster, what)(where, given_objects)
    assert cluster.mesh() == cluster.afresh()


def test_nothing_is_said_of_what_is_made_of_something_unlisted() -> None:
    cluster = Cluster()
    cluster.list("pod", [Pod("a", "web-1")])
    assert not cluster.store.mesh.is_synced(Pod)
    assert not cluster.store.mesh.pods
    cluster.list("replicaset", ())
    assert list(cluster.store.mesh.pods) == [("a", "web-1")]


def test_a_pod_is_its_replica_sets_deployments_and_makes_that_meshed() -> None:
    cluster = Cluster()
    deployment = Workload("deployment", "a", "web", 1, meshed=False)
    between = Workload("replicaset", "a", "web-1", 1, meshed=False)
    for part in cluster.held:
        cluster.list(part, ())
    cluster.put("deployment", OwnedWorkload(deployment, None))
    cluster.put("replicaset", OwnedWorkload(between, Owner("deployment", "web")))
    cluster.put("pod", Pod("a", "web-1-x", owner=Owner("replicaset", "web-1"), meshed=True))
    mesh = cluster.store.mesh
    assert mesh.pods[Key("a", "web-1-x")].owner == Owner("deployment", "web")
    assert mesh.workloads[WorkloadKey("deployment", "a", "web")].meshed


def test_the_zone_of_a_pod_is_its_nodes_and_no_node_is_waited_for() -> None:
    cluster = Cluster()
    for part in cluster.held:
        if part != "node":
            cluster.list(part, ())
    cluster.put("pod", Pod("a", "web", node="one"))
    assert cluster.store.mesh.pods[Key("a", "web")].zone == ""
    cluster.list("node", [Node("one", "zone-a")])
    assert cluster.store.mesh.pods[Key("a", "web")].zone == "zone-a"


def test_one_change_is_one_batch() -> None:
    """A service that goes takes its endpoints along in the same moment."""
    cluster = Cluster()
    for part in cluster.held:
        cluster.list(part, ())
    service = ServiceAsSaid(Service("a", "web", (PortSpec("http", 80, 8080),)), None)
    cluster.put("service", service)
    assert list(cluster.store.mesh.endpoints) == [("a", "web", 80)]
    batches: list[list[type[MeshObject]]] = []
    subscription = cluster.store.subscribe(
        lambda changes: batches.append([type(change.subject) for change in changes])
    )
    cluster.remove("service", service)
    subscription.close()
    assert [sorted(kind.__name__ for kind in batch) for batch in batches] == [
        [Endpoints.__name__, Service.__name__]
    ]
