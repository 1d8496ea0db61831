"""What a supervisor tells of its replicas, as objects of the mesh: final addresses, and a pod never without
its Endpoints.
"""

from collections.abc import Sequence
from dataclasses import replace

from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import (
    Endpoint,
    Endpoints,
    EndpointsKey,
    Key,
    Pod,
    PortSet,
    PortSpec,
)
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.controlplane.sources.local.source import LocalSource

WEB = ServiceSpec("shop", "web-svc", "web", (PortSpec("http", 80, 8080),))
WEB_0 = Replica("shop", "web-0", "web", "127.0.1.1", {8080: 41001}, ready=True, status="Running")
WEB_1 = replace(WEB_0, name="web-1", ip="127.0.1.2")


def told(*replicas: Replica) -> tuple[MeshStore, LocalSource]:
    store = MeshStore()
    source = LocalSource(store)
    source.describe(services=[WEB], workloads=[])
    for replica in replicas:
        source.put(replica)
    return store, source


def ports(store: MeshStore) -> dict[int, list[str]]:
    """Who serves each port of the service."""
    found = store.mesh.endpoints_of(WEB.key)
    return {one.port: [f"{end.ip}:{end.port}" for end in one.endpoints] for one in found}


def test_nothing_is_listed_before_the_first_description() -> None:
    store = MeshStore()
    source = LocalSource(store)
    source.put(WEB_0)
    assert Pod in store.mesh.unsynced
    source.describe(services=[WEB], workloads=[])
    assert store.mesh.unsynced == []
    assert ports(store)[80] == ["127.0.1.1:41001"]


def test_a_replica_is_published_at_the_port_that_peers_connect_to() -> None:
    store, _ = told(WEB_0)
    # Under the service's port, and under the replica's own number, which the service does not declare.
    assert ports(store) == {8080: ["127.0.1.1:41001"], 80: ["127.0.1.1:41001"]}
    assert store.mesh.pods[WEB_0.key].proxied == PortSet(frozenset({41001}))


def test_a_replica_and_its_endpoints_come_change_and_go_together() -> None:
    store, source = told(WEB_0)
    batches: list[Sequence[Change]] = []
    store.subscribe(batches.append)
    source.put(WEB_1)
    source.put(replace(WEB_1, ready=False))
    source.remove(WEB_1)
    kinds = [{type(change.subject) for change in batch} for batch in batches]
    assert kinds == [{Pod, Endpoints}] * 3
    source.remove(WEB_1)
    assert len(batches) == 3


def test_a_replica_that_does_not_serve_is_an_endpoint_that_is_not_ready() -> None:
    store, _ = told(replace(WEB_0, status="Terminating"))
    (found,) = store.mesh.endpoints[EndpointsKey("shop", "web-svc", 80)].endpoints
    assert found == Endpoint("127.0.1.1", 41001, False, Key("shop", "web-0"), "web-0")


def test_own_numbers_go_with_the_last_replica_that_has_them() -> None:
    store, source = told(WEB_0, replace(WEB_1, ports={9090: 42001}))
    assert set(ports(store)) == {80, 8080, 9090}
    source.remove(replace(WEB_1, ports={9090: 42001}))
    assert set(ports(store)) == {80, 8080}


def test_services_that_are_described_no_more_take_their_endpoints_with_them() -> None:
    store, source = told(WEB_0)
    source.describe(services=[], workloads=[])
    assert not store.mesh.services
    assert not store.mesh.endpoints
    assert set(store.mesh.pods) == {WEB_0.key}
