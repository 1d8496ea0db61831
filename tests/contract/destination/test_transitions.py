"""What open streams are told as objects of a real API server change, step by step, and what Linkerd's
destination controller told them then.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.settings import Settings
from linkerd2_py.controlplane.mesh.objects import EndpointsKey, Key
from linkerd2_py.controlplane.mesh.store import Mesh, MeshStore
from linkerd2_py.controlplane.streams.stream import UpdateStream
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import net_pb2 as net
from tests.support.cluster import programs
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.crds import install_crds
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.recorded import MISSING, RECORDED, recorded_objects
from tests.support.recordings import followed
from tests.support.wait import eventually_async

Json = dict[str, Any]

LIMIT_S = 30.0
FILE = RECORDED / "destination" / "transitions.json"
DIFFERENCES = Path(__file__).parent / "differences.toml"
GET = "Get tr.shop.svc.cluster.local:80"
PROFILE = "GetProfile 10.10.0.1:8080"
A, B = "web-5d4f8c7b9-aaaaa", "web-5d4f8c7b9-bbbbb"
IPS = {A: "10.10.0.1", B: "10.10.0.2"}
SETTINGS = Settings(outbound_transport_mode="transport-header")

pytestmark = [
    pytest.mark.skipif(not FILE.exists(), reason=MISSING),
    # The first of them waits until the API server has started.
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """An API server where the two pods run, and whatever else a test makes."""
    if not programs.built():
        pytest.skip("the cluster's programs are not built: ./mesh cluster build")
    root = tmp_path_factory.mktemp("transitions")
    with contextlib.closing(ControlPlane(root, controllers=False)) as running:
        kubectl = Kubectl(running.kubeconfig)
        install_crds(kubectl)
        kubectl.apply(
            *(one for one in recorded_objects() if one["kind"] in {"Namespace", "ServiceAccount"})
        )
        kubectl.apply(*(one for one in recorded_objects() if one["kind"] == "ReplicaSet"))
        kubectl.apply(*(MARKERS[kind]("0") for kind in MARKERS))
        for name in (A, B):
            run(kubectl, pod(name))
        yield kubectl


class Watched:
    """The streams of one test, and the changes that it makes."""

    def __init__(self, kubectl: Kubectl, store: MeshStore) -> None:
        self.kubectl = kubectl
        self._mesh = store.mesh
        self._destination = Destination(store, metrics=CollectorRegistry(), settings=SETTINGS)
        self._streams: dict[str, UpdateStream] = {}
        self._number = itertools.count(1)

    async def open(self, *asked: str) -> None:
        for one in asked:
            rpc, path = one.split(" ")
            if rpc == "Get":
                question = self._destination.endpoints_question(path)
                self._streams[one] = await self._destination.endpoints.subscribe(question)
            else:
                profile = self._destination.profile_question(path)
                self._streams[one] = await self._destination.profiles.subscribe(profile)

    async def seen(self, *kinds: str) -> None:
        """The store holds every change of these kinds that was made: a later one of each has come."""
        for kind in kinds:
            number = str(next(self._number))
            self.kubectl.apply(MARKERS[kind](number))
            await eventually_async(
                lambda kind=kind, number=number: marked(self._mesh, kind) == number,
                deadline_s=LIMIT_S,
            )

    async def told(self) -> dict[str, list[str]]:
        """What the streams were told since."""
        await self._destination.endpoints.settled()
        await self._destination.profiles.settled()
        found: dict[str, list[str]] = {}
        for asked, stream in self._streams.items():
            kind = messages.Update if asked.startswith("Get ") else messages.DestinationProfile
            found[asked] = [line for raw in stream._queue for line in written(kind.FromString(raw))]
            stream._queue.clear()
        return found

    def close(self) -> None:
        self._destination.close()


@pytest.fixture
async def watched(cluster: Kubectl) -> AsyncIterator[Watched]:
    cluster.apply(service("tr"))
    async with followed(cluster.kubeconfig) as store:
        found = Watched(cluster, store)
        await found.seen(*MARKERS)
        yield found
        found.close()
    for kind in ("endpointslices", "services", "servers.policy.linkerd.io"):
        words = ("delete", kind, "--selector=made-by=steps", "--namespace=shop")
        cluster(*words, "--ignore-not-found")


async def test_endpoints(watched: Watched) -> None:
    one, two = "tr-1", "tr-2"
    steps: dict[str, Callable[[], Any]] = {
        "slice with A": lambda: watched.kubectl.apply(slice_(one, A)),
        "A and B": lambda: watched.kubectl.apply(slice_(one, A, B)),
        "A not ready": lambda: watched.kubectl.apply(slice_(one, A, B, unready=A)),
        "A ready": lambda: watched.kubectl.apply(slice_(one, A, B)),
        "order swapped, nothing else": lambda: watched.kubectl.apply(slice_(one, B, A)),
        "no endpoints (empty slice)": lambda: watched.kubectl.apply(slice_(one)),
        "A again": lambda: watched.kubectl.apply(slice_(one, A)),
        "second slice with B": lambda: watched.kubectl.apply(slice_(two, B)),
        "second slice with B and A too": lambda: watched.kubectl.apply(slice_(two, B, A)),
        "slice 1 deleted": lambda: watched.kubectl("-n=shop", "delete", "endpointslice", one),
        "slice 2 deleted": lambda: watched.kubectl("-n=shop", "delete", "endpointslice", two),
        "slice with A again": lambda: watched.kubectl.apply(slice_(one, A)),
        "service deleted": lambda: watched.kubectl("-n=shop", "delete", "service", "tr"),
        "service made again": lambda: watched.kubectl.apply(service("tr")),
        "slice touched": lambda: watched.kubectl.apply(slice_(one, A, B)),
        "target port of the slice changes to 8090": lambda: watched.kubectl.apply(
            slice_(one, A, B, port=8090)
        ),
    }
    await watched.open(GET)
    recorded = steps_of("endpoints")
    await compare(watched, next(recorded), of="endpoints")
    for act in steps.values():
        act()
        await watched.seen("Service", "EndpointSlice")
        await compare(watched, next(recorded), of="endpoints")
    assert next(recorded, None) is None


async def test_workload(watched: Watched) -> None:
    opaque = {"config.linkerd.io/opaque-ports": "8080"}
    steps: dict[str, Callable[[], Any]] = {
        "Server opaque selects the pods": lambda: watched.kubectl.apply(server("tr")),
        "Server deleted": lambda: watched.kubectl(
            "-n=shop", "delete", "servers.policy.linkerd.io", "tr"
        ),
        "pod gets opaque-ports annotation": lambda: watched.kubectl(
            *("-n=shop", "annotate", "pod", A, *(f"{key}={value}" for key, value in opaque.items()))
        ),
        "slice touched after that (B gone)": lambda: watched.kubectl.apply(slice_("tr-1", A)),
        "pod Succeeded": lambda: watched.kubectl.apply_status(phase(A, "Succeeded")),
        "pod Running": lambda: watched.kubectl.apply_status(phase(A, "Running")),
        "pod deleted": lambda: watched.kubectl(
            *("-n=shop", "delete", "pod", A, "--grace-period=0", "--force")
        ),
        "pod made again": lambda: run(watched.kubectl, pod(A, owned=False)),
    }
    watched.kubectl.apply(slice_("tr-1", A, B))
    await watched.seen("Service", "EndpointSlice")
    await watched.open(GET, PROFILE)
    recorded = steps_of("workload")
    await compare(watched, next(recorded), of="workload")
    for act in steps.values():
        act()
        await watched.seen("Server", "Pod", "EndpointSlice")
        await compare(watched, next(recorded), of="workload")
    assert next(recorded, None) is None
    run(watched.kubectl, pod(A))


def test_listed_differences_are_of_steps() -> None:
    asked = {
        f"{name}: {step['step']}: {asked.split(' ')[0]}"
        for name, steps in json.loads(FILE.read_text()).items()
        for step in steps
        for asked in step["messages"]
    }
    assert LISTED.keys() <= asked


def steps_of(name: str) -> Iterator[Json]:
    yield from json.loads(FILE.read_text())[name]


async def compare(watched: Watched, recorded: Json, *, of: str) -> None:
    """As Linkerd told it, or as is listed."""
    told = await watched.told()
    for asked, theirs in recorded["messages"].items():
        step = f"{of}: {recorded['step']}: {asked.split(' ')[0]}"
        expected = [line for one in theirs for line in recorded_lines(one)]
        listed = LISTED.get(step)
        if listed is None:
            assert told[asked] == expected, step
        else:
            assert listed != expected, f"{step} is listed, and is no difference"
            assert told[asked] == listed, step


LISTED: Final[dict[str, list[str]]] = {
    one["case"]: one["ours"]
    for one in tomllib.loads(DIFFERENCES.read_text())["difference"]
    if "transitions" in one["in"]
}


def written(message: messages.Update | messages.DestinationProfile) -> list[str]:
    """The message in a line for each address."""
    if isinstance(message, messages.DestinationProfile):
        opaque = " opaque" if message.opaque_protocol else ""
        end = message.endpoint
        labels = ",".join(sorted(end.metric_labels))
        return [f"profile{opaque} {address(end.addr)} {how(end)} {labels}"]
    added = (
        f"add {address(end.addr)} {how(end)} "
        f"{end.metric_labels['pod']} {end.metric_labels['zone_locality']}"
        for end in message.add.addrs
    )
    return sorted([*added, *(f"remove {address(one)}" for one in message.remove.addrs)])


def address(found: net.TcpAddress) -> str:
    return f"{ipaddress.IPv4Address(found.ip.ipv4)}:{found.port}"


def how(end: messages.WeightedAddr) -> str:
    hint = end.protocol_hint
    inbound = hint.opaque_transport.inbound_port
    identity = end.tls_identity.dns_like_identity.name.partition(".")[0]
    return f"{hint.WhichOneof('protocol') or 'plain'}/{inbound}/{identity}"


def recorded_lines(message: Json) -> list[str]:
    """The same of what was recorded."""
    if "endpoint" in message:
        opaque = " opaque" if message.get("opaque_protocol") else ""
        where, hint, identity, labels = message["endpoint"]
        return [f"profile{opaque} {where} {recorded_how(hint, identity)} {','.join(labels)}"]
    added = (
        f"add {where} {recorded_how(hint, identity)} {labels['pod']} {labels['zone_locality']}"
        for where, hint, identity, labels in message.get("add", ())
    )
    return sorted([*added, *(f"remove {where}" for where in message.get("remove", ()))])


def recorded_how(hint: Json | None, identity: str | None) -> str:
    found = hint or {}
    name = next((name for name in ("h2", "opaque") if name in found), "plain")
    inbound = found.get("opaque_transport", {}).get("inbound_port", 0)
    return f"{name}/{inbound}/{(identity or '').partition('.')[0]}"


def about(name: str, **more: Any) -> Json:
    return {"namespace": "shop", "name": name, "labels": {"made-by": "steps"}, **more}


def service(name: str) -> Json:
    ports = [{"port": 80, "targetPort": 8080}]
    spec = {"selector": {"app": name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": about(name), "spec": spec}


def slice_(name: str, *pods: str, unready: str = "", port: int = 8080, of: str = "tr") -> Json:
    found = {"metadata": about(name), "addressType": "IPv4"}
    found["metadata"]["labels"] = {"made-by": "steps", "kubernetes.io/service-name": of}
    return found | {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "ports": [{"name": "", "port": port}],
        "endpoints": [
            {
                "addresses": [IPS[one]],
                "conditions": {"ready": one != unready},
                "targetRef": {"kind": "Pod", "name": one, "namespace": "shop"},
            }
            for one in pods
        ],
    }


def server(name: str, *, port: int = 8080, app: str = "web") -> Json:
    spec = {"podSelector": {"matchLabels": {"app": app}}, "port": port, "proxyProtocol": "opaque"}
    version = "policy.linkerd.io/v1beta3"
    return {"apiVersion": version, "kind": "Server", "metadata": about(name), "spec": spec}


def pod(name: str, *, owned: bool = True) -> Json:
    """As it was when the steps were recorded: B said that its port is opaque."""
    found = next(one for one in recorded_objects() if one["metadata"]["name"] == name)
    if name == B:
        found["metadata"]["annotations"]["config.linkerd.io/opaque-ports"] = "8080"
    if not owned:
        del found["metadata"]["ownerReferences"]
    return found


def run(kubectl: Kubectl, found: Json) -> None:
    """Make a pod, and be the kubelet that runs it."""
    kubectl.apply({key: value for key, value in found.items() if key != "status"})
    kubectl.apply_status(phase(found["metadata"]["name"], "Running"))


def phase(name: str, said: str) -> Json:
    found = deepcopy(pod(name))
    found["status"]["phase"] = said
    where = {"namespace": "shop", "name": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": where, "status": found["status"]}


def marker_pod(number: str) -> Json:
    found = about("marker", labels={"number": number})
    spec = {"containers": [{"name": "app", "image": "none"}], "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": found, "spec": spec}


def marker_service(number: str) -> Json:
    found = service("marker")
    found["metadata"] = about("marker", labels={"number": number})
    return found


def marker_slice(number: str) -> Json:
    found = slice_("marker", A, port=int(number) + 1, of="marker")
    del found["metadata"]["labels"]["made-by"]
    return found


# One object of each kind that steps change, which says how many of its changes have come.
MARKERS: Final[dict[str, Callable[[str], Json]]] = {
    "Service": marker_service,
    "EndpointSlice": marker_slice,
    "Pod": marker_pod,
    "Server": lambda number: server("marker", port=int(number) + 1, app="nobody"),
}


def marked(mesh: Mesh, kind: str) -> str:
    key = Key("shop", "marker")
    if kind == "Service":
        return mesh.services[key].labels["number"] if key in mesh.services else ""
    if kind == "Pod":
        return mesh.pods[key].labels["number"] if key in mesh.pods else ""
    if kind == "Server":
        return str(int(mesh.servers[key].port) - 1) if key in mesh.servers else ""
    found = mesh.endpoints.get(EndpointsKey("shop", "marker", 80))
    return str(found.endpoints[0].port - 1) if found and found.endpoints else ""
