"""The same mesh gives the same objects, whatever its source."""

from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, EndpointsKey, Namespace
from linkerd2_py.controlplane.mesh.store import MeshStore
from tests.contract.source import described
from tests.contract.source.described import NAMESPACE, PODS, SERVICES, WORKLOADS


def test_services_select_and_have_their_addresses(store: MeshStore) -> None:
    wanted = [described.service(one) for one in SERVICES]
    assert list(store.mesh.services.values()) == wanted
    for service in wanted:
        assert all(store.mesh.service_at(ip) == service for ip in service.ips)


def test_pods_have_owners_addresses_and_what_peers_must_know(store: MeshStore) -> None:
    found = [described.as_anybody_knows(pod) for pod in store.mesh.pods.values()]
    assert found == [described.pod(one) for one in PODS]
    for pod in store.mesh.pods.values():
        assert all(store.mesh.pods_at(ip) == [pod] for ip in pod.ips)
        selecting = [service.name for service in store.mesh.services_selecting(pod)]
        assert selecting == [one.name for one in SERVICES if one.workload == pod.labels["app"]]


def test_workloads_own_their_pods(store: MeshStore) -> None:
    # What a cluster makes pods through is another of its workloads.
    made = [key for key in store.mesh.workloads if key.kind == DEPLOYMENT]
    assert [store.mesh.workloads[key] for key in made] == [described.workload(n) for n in WORKLOADS]
    for owner in made:
        owned = [pod.name for pod in store.mesh.pods_of(owner)]
        assert owned == [pod.name for pod in PODS if pod.workload == owner.name]


def test_every_declared_port_has_the_endpoints_of_all_its_pods(store: MeshStore) -> None:
    for one in SERVICES:
        for spec in one.ports:
            found = store.mesh.endpoints[EndpointsKey(NAMESPACE, one.name, spec.port)]
            wanted = described.endpoints(one, spec)
            assert (found.key, set(found.endpoints)) == (wanted.key, set(wanted.endpoints))


def test_namespaces_are_there_and_everything_is_listed(store: MeshStore) -> None:
    assert dict(store.mesh.namespaces) == {NAMESPACE: Namespace(NAMESPACE)}
    assert store.mesh.unsynced == []


def test_profiles_say_what_their_owners_wrote(store: MeshStore) -> None:
    assert list(store.mesh.service_profiles.values()) == [described.PROFILE]
