"""EndpointSlices for external workloads on a real API server, written by one of two contenders."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.base.backoff import BackoffRange
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.external_workloads.writer import LEASE, SliceWriter
from linkerd2_py.controlplane.leader import Leader, LeaseTimes
from linkerd2_py.controlplane.mesh.slices import MANAGER
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.sources.kubernetes.api_server import connect
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.sources.kubernetes.source import KubernetesSource
from linkerd2_py.controlplane.writing.pace import Pace
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import destination_pb2_grpc as stubs
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import START_S, Controller
from tests.support.cluster.crds import install_crds
from tests.support.cluster.kubectl import Kubectl
from tests.support.wait import eventually_async, in_time

LIMIT_S = 30.0
LONG = LeaseTimes(lease_s=3600.0, sure_s=1800.0, look_s=0.05)
SOON = BackoffRange(min_s=0.05, max_s=0.5, jitter=0.0)
Object = dict[str, Any]

# The first of them waits until the API server has started.
pytestmark = pytest.mark.timeout(300)


@dataclass
class Contender:
    """One who would write, with a client and a mesh of its own."""

    writer: SliceWriter
    leader: Leader


class Place:
    """A namespace of the cluster, and those who contend for its slices."""

    def __init__(self, control_plane: ControlPlane, stack: AsyncExitStack, namespace: str) -> None:
        self._control_plane = control_plane
        self._stack = stack
        self.namespace = namespace
        self.kubeconfig = control_plane.kubeconfig
        self._kubectl = Kubectl(control_plane.kubeconfig)

    async def contend(self, identity: str, *, user: str = "") -> Contender:
        clock, store = SystemClock(), MeshStore()
        api = await connect(self._control_plane.kubeconfig)
        self._stack.push_async_callback(api.close)
        config = self._control_plane.kubeconfig_of(user) if user else self._control_plane.kubeconfig
        writes_by = await connect(config)
        self._stack.push_async_callback(writes_by.close)
        leader = Leader(
            api, namespace=self.namespace, name=LEASE, identity=identity, clock=clock, times=LONG
        )
        writer = SliceWriter(
            store,
            api=writes_by,
            leadership=leader,
            clock=clock,
            metrics=CollectorRegistry(),
            pace=Pace(clock=clock, pauses=SOON),
            limit=2,
        )
        source = KubernetesSource(api, store=store, clock=clock, identities=Identities())
        self._stack.push_async_callback(source.stop)
        self._stack.push_async_callback(leader.stop)
        self._stack.push_async_callback(writer.stop)
        leader.start()
        writer.start()
        await eventually_async(lambda: not source.unsynced, deadline_s=LIMIT_S)
        return Contender(writer, leader)

    def kubectl(self, *words: str) -> str:
        return self._kubectl(*words, f"--namespace={self.namespace}")

    def service(self, **spec: object) -> None:
        ports = [{"name": "http", "port": 80, "targetPort": "web"}]
        whole = {"selector": {"app": "web"}, "ports": ports, **spec}
        self._kubectl.apply({**self._object("v1", "Service", "web"), "spec": whole})

    def workload(self, name: str, ip: str, *, ready: bool = True, port: int = 8080) -> None:
        """As somebody makes it, and as whoever looks after it says that it is."""
        bare = self._object("workload.linkerd.io/v1beta1", "ExternalWorkload", name)
        bare["metadata"]["labels"] = {"app": "web", "topology.kubernetes.io/zone": "zone-a"}
        spec = {
            "meshTLS": {"identity": f"spiffe://outside/{name}", "serverName": f"{name}.outside"},
            "workloadIPs": [{"ip": ip}],
            "ports": [{"name": "web", "port": port}],
        }
        condition = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        self._kubectl.apply({**bare, "spec": spec})
        self._kubectl.apply_status({**bare, "status": {"conditions": [condition]}})

    def slices(self) -> list[Object]:
        """Ours, as they are written."""
        ours = f"--selector=endpointslice.kubernetes.io/managed-by={MANAGER}"
        return list(
            json.loads(self.kubectl("get", "endpointslices", ours, "--output=json"))["items"]
        )

    def served(self) -> list[list[str]]:
        """Of each slice: who is in it at which port, and whether ready."""
        return sorted(
            [
                f"{end['targetRef']['name']}:{one['ports'][0]['port']}"
                + ("" if end["conditions"]["ready"] else " not ready")
                for end in one["endpoints"]
            ]
            for one in self.slices()
        )

    def versions(self) -> dict[str, str]:
        about = [one["metadata"] for one in self.slices()]
        return {one["name"]: one["resourceVersion"] for one in about}

    def _object(self, version: str, kind: str, name: str) -> Object:
        about = {"name": name, "namespace": self.namespace}
        return {"apiVersion": version, "kind": kind, "metadata": about}


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane) -> None:
    """The API server knows external workloads."""
    install_crds(Kubectl(control_plane.kubeconfig))


@pytest.fixture
async def place(
    control_plane: ControlPlane, kinds: None, request: pytest.FixtureRequest
) -> AsyncIterator[Place]:
    del kinds
    # Names of accounts have little room for that of a control plane.
    short = request.node.name.replace("_", "-").removeprefix("test-")[:20].strip("-")
    name = f"outside-{short}"
    kubectl = Kubectl(control_plane.kubeconfig)
    kubectl("create", "namespace", name)
    async with AsyncExitStack() as stack:
        yield Place(control_plane, stack, name)
    kubectl("delete", "namespace", name, "--wait=false")


async def until(condition: Callable[[], bool], what: str = "") -> None:
    await eventually_async(condition, deadline_s=LIMIT_S, what=what)


async def test_proxies_are_led_to_a_workload_outside_and_told_who_it_is(
    place: Place, control_plane: ControlPlane, tmp_path: Path
) -> None:
    words = ("--kubeconfig", control_plane.kubeconfig, "--controller-namespace", place.namespace)
    place.service()
    with Controller("destination", *words, folder=tmp_path) as destination:
        destination.wait_ready()
        async with grpc.aio.insecure_channel(destination.address) as channel:
            path = f"web.{place.namespace}.svc.cluster.local:80"
            call = stubs.DestinationStub(channel).Get(messages.GetDestination(path=path))
            place.workload("vm", "192.0.2.1")
            update = await in_time(call.read(), START_S)
            (found,) = update.add.addrs
            assert found.addr.port == 8080
            assert found.tls_identity.uri_like_identity.uri == "spiffe://outside/vm"
            assert found.tls_identity.server_name.name == "vm.outside"
            assert found.metric_labels["external_workload"] == "vm"
            place.kubectl("delete", "externalworkload", "vm")
            gone = await in_time(call.read(), START_S)
            assert [one.port for one in gone.remove.addrs] == [8080] or gone.HasField(
                "no_endpoints"
            )
        assert destination.stop() == 0
        assert "Traceback" not in destination.child.output()


async def test_slices_follow_the_workloads_and_their_service(place: Place) -> None:
    one = await place.contend("one")
    await in_time(one.leader.elected(), LIMIT_S)
    place.service()
    place.workload("a", "192.0.2.1", ready=False)
    await until(lambda: place.served() == [["a:8080 not ready"]])
    (found,) = place.slices()
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Service", "web", True)
    assert (found["addressType"], found["ports"][0]["name"]) == ("IPv4", "http")
    assert found["endpoints"][0]["addresses"] == ["192.0.2.1"]
    assert found["endpoints"][0]["zone"] == "zone-a"

    place.workload("a", "192.0.2.1")
    await until(lambda: place.served() == [["a:8080"]])
    place.workload("b", "192.0.2.2")
    await until(lambda: place.served() == [["a:8080", "b:8080"]])
    assert len(place.versions()) == 1
    # The slice is full, and who has another port never shares one.
    place.workload("c", "192.0.2.3")
    place.workload("d", "192.0.2.4", port=9090)
    await until(lambda: place.served() == [["a:8080", "b:8080"], ["c:8080"], ["d:9090"]])
    place.kubectl("delete", "externalworkload", "c", "d")
    await until(lambda: place.served() == [["a:8080", "b:8080"]])
    await until(lambda: one.writer.is_settled)

    place.kubectl("delete", "externalworkload", "a", "b")
    await until(lambda: place.slices() == [])


async def test_slices_go_with_the_selector_and_with_the_service(place: Place) -> None:
    one = await place.contend("one")
    await in_time(one.leader.elected(), LIMIT_S)
    place.service()
    place.workload("a", "192.0.2.1")
    await until(lambda: place.served() == [["a:8080"]])
    place.kubectl("patch", "service", "web", '--patch={"spec":{"selector":null}}')
    await until(lambda: place.slices() == [])
    place.kubectl("patch", "service", "web", '--patch={"spec":{"selector":{"app":"web"}}}')
    await until(lambda: place.served() == [["a:8080"]])
    place.kubectl("delete", "service", "web")
    await until(lambda: place.slices() == [])
    await until(lambda: one.writer.is_settled)


async def test_one_of_two_writes_and_nobody_where_nothing_differs(place: Place) -> None:
    place.service()
    place.workload("a", "192.0.2.1")
    one = await place.contend("one")
    await in_time(one.leader.elected(), LIMIT_S)
    two = await place.contend("two")
    await until(lambda: one.writer.is_settled)
    versions = place.versions()
    assert len(versions) == 1
    # What no slice depends on is no reason to write one.
    place.service(sessionAffinity="ClientIP")
    await until(lambda: one.writer.is_settled)
    await one.leader.stop()
    await until(lambda: two.writer.is_settled)
    assert not one.leader.is_leader
    assert place.versions() == versions
    place.kubectl("delete", "endpointslice", *versions)
    await until(lambda: place.served() == [["a:8080"]])


async def test_slices_of_others_stay_as_they_are(place: Place) -> None:
    place.service(selector=None)
    place.workload("a", "192.0.2.1")
    theirs: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "by-hand",
            "namespace": place.namespace,
            "labels": {
                "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "somebody",
            },
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 1}],
        "endpoints": [{"addresses": ["192.0.2.9"]}],
    }
    Kubectl(place.kubeconfig).apply(theirs)

    def version() -> str:
        found = json.loads(place.kubectl("get", "endpointslice", "by-hand", "--output=json"))
        return str(found["metadata"]["resourceVersion"])

    before = version()
    one = await place.contend("one")
    await until(lambda: one.writer.is_settled)
    place.service()
    await until(lambda: place.served() == [["a:8080"]])
    place.service(selector=None)
    await until(lambda: place.slices() == [])
    await until(lambda: one.writer.is_settled)
    assert version() == before


async def test_who_may_not_write_says_so_and_goes_on(place: Place) -> None:
    place.service()
    place.workload("a", "192.0.2.1")
    one = await place.contend("one", user="nobody-of-importance")
    await until(lambda: "forbidden" in one.writer.problem)
    assert place.slices() == []
    assert one.writer.unsettled > 0
