"""The store: every change, in order, to everyone, and look-ups that follow it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from linkerd2_py.base import tasks
from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import (
    DEPLOYMENT,
    Endpoint,
    Endpoints,
    Key,
    MeshObject,
    Namespace,
    Owner,
    Pod,
    PortSet,
    PortSpec,
    Service,
    Workload,
    WorkloadKey,
)
from linkerd2_py.controlplane.mesh.routes import (
    Backend,
    HTTPRoute,
    HTTPRule,
    Object,
    Rule,
    TCPRoute,
)
from linkerd2_py.controlplane.mesh.status import Parent
from linkerd2_py.controlplane.mesh.store import Mesh, MeshStore

WEB = Service(
    "default", "web-svc", (PortSpec("", 80, 8080),), selector={"app": "web"}, ips=("10.0.0.9",)
)
POD = Pod(
    "default",
    "web-0",
    Owner(DEPLOYMENT, "web"),
    ("127.0.1.1", "fd00::1"),
    {"app": "web", "tier": "front"},
    ready=True,
    status="Running",
)
OTHER = replace(POD, name="web-1", ips=("127.0.1.2",))
WORKLOAD = Workload(DEPLOYMENT, "default", "web", 1)
SERVED = Endpoints("default", "web-svc", 80, (Endpoint("127.0.1.1", 8080, pod=POD.key),))
NAMESPACE = Namespace("default")


class Listener:
    def __init__(self) -> None:
        self.batches: list[Sequence[Change]] = []

    def __call__(self, changes: Sequence[Change]) -> None:
        self.batches.append(changes)


def listed(*objects: MeshObject) -> MeshStore:
    store = MeshStore()
    store.put(*objects)
    return store


def test_subscriber_gets_the_changes_after_what_it_found() -> None:
    store, heard = listed(WEB), Listener()
    store.subscribe(heard)
    assert dict(store.mesh.services) == {WEB.key: WEB}
    store.put(POD)
    assert heard.batches == [[Change(None, POD)]]


def test_replace_publishes_the_difference_as_one_batch() -> None:
    store, heard = MeshStore(), Listener()
    store.replace({Workload: [WORKLOAD], Service: [WEB], Pod: [POD, OTHER]})
    store.subscribe(heard)
    restarted = replace(POD, restarts=1)
    store.replace({Service: [WEB], Pod: [restarted]})
    assert heard.batches == [[Change(OTHER, None), Change(POD, restarted)]]
    assert set(store.mesh.workloads) == {WORKLOAD.key}


def test_apply_drops_and_adds_as_one_batch() -> None:
    store, heard = listed(POD, SERVED), Listener()
    store.subscribe(heard)
    moved = replace(SERVED, endpoints=(Endpoint("127.0.1.2", 8080, pod=OTHER.key),))
    store.apply(put=[OTHER, moved], gone=[(Pod, POD.key)])
    assert heard.batches == [[Change(POD, None), Change(None, OTHER), Change(SERVED, moved)]]


def test_equal_objects_cause_nothing() -> None:
    store, heard = listed(WEB), Listener()
    store.subscribe(heard)
    # Sources make their objects anew from all that they are told.
    store.replace({Service: [replace(WEB)]})
    store.put(replace(WEB))
    store.remove(Pod, key=Key("default", "nobody"))
    assert heard.batches == []


@pytest.mark.parametrize("obj", [WEB, POD, WORKLOAD, SERVED, NAMESPACE])
def test_an_object_put_can_be_removed(obj: MeshObject) -> None:
    store, heard = listed(obj), Listener()
    store.subscribe(heard)
    store.remove(type(obj), key=obj.key)
    assert heard.batches == [[Change(obj, None)]]
    assert heard.batches[0][0].subject == obj
    assert not any(store.mesh.tables.values())


def test_a_failing_subscriber_keeps_nobody_from_hearing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_told", set())
    store, heard = MeshStore(), Listener()

    def fail(_changes: Sequence[Change]) -> None:
        raise RuntimeError("broken")

    store.subscribe(fail)
    store.subscribe(heard)
    store.put(WEB)
    assert heard.batches == [[Change(None, WEB)]]
    assert "mesh-subscriber failed: RuntimeError('broken')" in caplog.text


def test_closed_subscription_hears_nothing_and_may_be_closed_again() -> None:
    store, heard = MeshStore(), Listener()
    subscription = store.subscribe(heard)
    subscription.close()
    subscription.close()
    store.put(WEB)
    assert heard.batches == []
    assert store.subscribers == 0


def test_a_change_made_by_a_subscriber_comes_after_the_one_it_was_told_of() -> None:
    store = MeshStore()
    orders: list[list[Change]] = [[], []]

    def answer(changes: Sequence[Change]) -> None:
        orders[0] += changes
        if changes[0].subject is WEB:
            store.put(POD)

    store.subscribe(answer)
    store.subscribe(orders[1].extend)
    store.put(WEB)
    assert orders[0] == orders[1] == [Change(None, WEB), Change(None, POD)]


def test_subscribers_hear_in_the_order_of_their_coming() -> None:
    """So that who applies while it is told is, on every run, told before or after the same others."""
    store = MeshStore()
    heard: list[int] = []
    subscriptions = [
        store.subscribe(lambda _, number=number: heard.append(number)) for number in range(50)
    ]
    subscriptions[7].close()
    store.put(WEB)
    assert heard == [number for number in range(50) if number != 7]


def test_a_change_without_sides_has_no_subject() -> None:
    with pytest.raises(ValueError, match="at least one side"):
        _ = Change(None, None).subject


def test_only_a_running_ready_pod_serves() -> None:
    assert POD.serving
    assert not replace(POD, ready=False).serving
    assert not replace(POD, status="Terminating").serving


def test_workloads_of_different_kinds_may_share_a_name() -> None:
    job = replace(WORKLOAD, kind="job")
    of_job = replace(OTHER, owner=Owner("job", "web"))
    mesh = listed(WORKLOAD, job, POD, of_job, Pod("default", "bare")).mesh
    assert list(mesh.workloads.values()) == [WORKLOAD, job]
    assert mesh.pods_of(WORKLOAD.key) == [POD]
    assert mesh.pods_of(job.key) == [of_job]
    assert mesh.pods_of(WorkloadKey(DEPLOYMENT, "other", "web")) == []


def test_addresses_find_who_has_them_now() -> None:
    store = listed(WEB, POD)
    mesh = store.mesh
    assert mesh.service_at("10.0.0.9") == WEB
    assert mesh.pods_at("fd00::1") == mesh.pods_at("127.0.1.1") == [POD]
    # Its address is given away before it is gone.
    heir = replace(OTHER, ips=("127.0.1.1",))
    store.put(heir, replace(WEB, ips=("10.0.0.8",)))
    assert mesh.pods_at("127.0.1.1") == [POD, heir]
    assert mesh.service_at("10.0.0.9") is None
    store.remove(Pod, key=POD.key)
    assert mesh.pods_at("127.0.1.1") == [heir]
    assert mesh.pods_at("fd00::1") == []


def test_services_are_found_by_the_pods_that_they_select() -> None:
    both = replace(WEB, name="both", selector={"app": "web", "tier": "front"})
    more = replace(WEB, name="more", selector={"app": "web", "tier": "back"})
    away = replace(WEB, namespace="other")
    bare = replace(WEB, name="bare", selector={})
    store = listed(WEB, both, more, away, bare)
    assert store.mesh.services_selecting(POD) == [WEB, both]
    store.put(replace(both, selector={"app": "db"}))
    assert store.mesh.services_selecting(POD) == [WEB]
    assert store.mesh.services_selecting(replace(POD, labels={})) == []


def test_endpoints_are_found_by_service_and_by_pod() -> None:
    raw = replace(SERVED, port=90)
    store = listed(SERVED, raw, replace(SERVED, service="other"))
    mesh = store.mesh
    assert mesh.endpoints_of(WEB.key) == [SERVED, raw]
    assert len(mesh.endpoints_with(POD.key)) == 3
    left = replace(SERVED, endpoints=())
    store.put(left)
    store.remove(Endpoints, key=raw.key)
    assert mesh.endpoints_of(WEB.key) == [left]
    assert [found.service for found in mesh.endpoints_with(POD.key)] == ["other"]


def test_routes_of_all_kinds_are_found_by_their_parents() -> None:
    store = MeshStore()
    mesh = store.mesh
    web = (Parent("core", "Service", "shop", "web", 80), Parent("core", "Service", "shop", "web"))
    to_v2 = (Backend("core", "Service", "shop", "v2", 80),)
    http = HTTPRoute(namespace="shop", name="r", parents=web, rules=(HTTPRule(to_v2),))
    tcp = TCPRoute(namespace="shop", name="r", parents=web[:1], rules=(Rule(to_v2), Rule(to_v2)))
    store.put(http, tcp)
    assert mesh.routes_of(Object("Service", "shop", "web")) == [http, tcp]
    store.put(replace(http, parents=()))
    assert mesh.routes_of(Object("Service", "shop", "web")) == [tcp]
    store.remove(TCPRoute, key=tcp.key)
    assert mesh.routes_of(Object("Service", "shop", "web")) == []


def test_ports_are_found_by_number() -> None:
    assert WEB.port(80) == PortSpec("", 80, 8080)
    assert WEB.port(81) is None


@pytest.mark.parametrize(("ports", "found"), [(PortSet(), set()), (PortSet(others=True), {1, 2})])
def test_a_set_of_ports_lists_its_own_or_the_others(ports: PortSet, found: set[int]) -> None:
    assert {number for number in (1, 2) if number in ports} == found
    changed = replace(ports, listed=frozenset({1}))
    assert {number for number in (1, 2) if number in changed} == found ^ {1}


async def test_a_kind_is_synced_once_it_was_listed() -> None:
    store = MeshStore()
    waiting = spawn(store.mesh.synced([Service, Pod]), name="waiting")
    store.put(WEB)
    store.replace({Service: []})
    await asyncio.sleep(0)
    assert not waiting.done()
    assert store.mesh.is_synced(Service)
    assert Pod in store.mesh.unsynced
    store.replace({kind: [] for kind in Mesh().tables})
    await asyncio.wait_for(waiting, 10)
    assert store.mesh.unsynced == []
