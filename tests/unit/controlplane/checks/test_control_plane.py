"""What `check` asks of the mesh itself."""

import pytest

from linkerd2_py.controlplane.checks.control_plane import check_mesh
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, Pod, Service, Workload
from linkerd2_py.controlplane.mesh.store import Mesh, MeshStore

WEB = Workload(DEPLOYMENT, "default", "web", 1)


def everything_but(*kinds: type) -> MeshStore:
    store = MeshStore()
    store.replace({kind: [] for kind in Mesh().tables if kind not in kinds})
    store.replace({Workload: [WEB]})
    return store


def test_a_mesh_that_is_listed_and_has_workloads_is_well() -> None:
    assert check_mesh(everything_but().mesh).status == "ok"


@pytest.mark.parametrize(
    ("kinds", "message"),
    [((Pod,), "not synced: Pod"), ((Service, Pod), "not synced: Service, Pod")],
)
def test_what_nobody_has_listed_is_named(kinds: tuple[type, ...], message: str) -> None:
    found = check_mesh(everything_but(*kinds).mesh)
    assert (found.status, found.message) == ("error", message)


def test_pods_that_nobody_owns_are_something() -> None:
    store = everything_but()
    store.replace({Workload: [], Pod: [Pod("shop", "alone")]})
    assert check_mesh(store.mesh).status == "ok"


def test_a_mesh_without_workloads_is_looked_at() -> None:
    store = everything_but()
    store.replace({Workload: []})
    assert check_mesh(store.mesh).message == "the mesh has no workloads and no pods"
