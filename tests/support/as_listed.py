"""Objects of a cluster in a store, as the reflectors of a source would tell of them, with no API server."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

from linkerd2_py.controlplane.mesh.objects import MeshObject
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.kubernetes import source
from linkerd2_py.controlplane.sources.kubernetes.assembly import Assembly
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities, read_pod
from linkerd2_py.controlplane.sources.kubernetes.services import read_service, read_slice
from linkerd2_py.controlplane.sources.kubernetes.workloads import read_workload

Json = dict[str, Any]


def listed(objects: list[Json]) -> MeshStore:
    """All of them, once."""
    by_kind: dict[str, list[Json]] = defaultdict(list)
    for found in objects:
        by_kind[found["kind"].lower()].append(found)
    store = MeshStore()
    _tell_joined(Assembly(store, workload_kinds=source.WORKLOADS), by_kind)
    for kind, names in source.DIRECT.items():
        made: list[MeshObject] = []
        for resource, read in names.items():
            group = f"{resource.group}/"
            listing = by_kind[kind.__name__.lower()]
            made += [read(one) for one in listing if one["apiVersion"].startswith(group)]
        store.replace({kind: made})
    assert store.mesh.unsynced == []
    return store


def _tell_joined(assembly: Assembly, by_kind: dict[str, list[Json]]) -> None:
    pod = partial(read_pod, identities=Identities())
    tables: list[tuple[Any, str, Any]] = [
        (assembly.namespaces, "namespace", source.read_namespace),
        (assembly.nodes, "node", source.read_node),
        (assembly.pods, "pod", pod),
        (assembly.services, "service", read_service),
        (assembly.slices, "endpointslice", read_slice),
    ]
    for kind, table in assembly.workloads.items():
        tables.append((table, kind, partial(read_workload, kind=kind)))
    for table, kind, read in tables:
        assembly.listed(table, table.replace([read(one) for one in by_kind[kind]]))
