"""Answers that only a cluster asks for: zones and nodes, both families of addresses, ports of nodes, Servers,
workloads outside, and services of other clusters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.base.tasks import count_failures
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.refusals import RefusedError
from linkerd2_py.controlplane.destination.settings import Settings
from linkerd2_py.controlplane.mesh.balancing import PREFER_ZONE
from linkerd2_py.controlplane.mesh.objects import (
    ContainerPort,
    Endpoint,
    Endpoints,
    ExternalWorkload,
    Federated,
    Gateway,
    Key,
    Mirrored,
    Node,
    Owner,
    Pod,
    PortSet,
    PortSpec,
    Service,
)
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.mesh.selector import Selector
from linkerd2_py.controlplane.mesh.service_profiles import RequestMatch, Route, ServiceProfile
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.streams.stream import UpdateStream
from linkerd2_py.proto.gen import destination_pb2 as messages

WEB = Service("shop", "web", (PortSpec("http", 80, "http"),), ips=("10.96.0.10",))
PATH = "web.shop.svc.cluster.local:80"
ALL_PORTS = PortSet(others=True)


def pod(number: int, *, node: str = "a", ips: tuple[str, ...] = ()) -> Pod:
    return Pod(
        "shop",
        f"web-{number}",
        ips=ips or (f"10.1.0.{number}",),
        labels={"app": "web"},
        ready=True,
        status="Running",
        node=node,
        meshed=True,
        proxied=ALL_PORTS,
        identity="web",
        inbound_port=4143,
        admin_ports=frozenset({4191}),
        ports=(ContainerPort(8080, "http", host=7777),),
        host_ips=("192.0.2.1",),
    )


def served(*ends: Endpoint) -> Endpoints:
    return Endpoints("shop", "web", 80, ends)


def end(one: Pod, ip: str = "", **more: Any) -> Endpoint:
    return Endpoint(ip or one.ip, 8080, pod=one.key, **more)


class Rig:
    def __init__(self, settings: Settings | None = None) -> None:
        self.store = MeshStore()
        self.store.replace(dict.fromkeys(self.store.mesh.unsynced, ()))
        self.destination = Destination(
            self.store, metrics=CollectorRegistry(), settings=settings or Settings()
        )
        self.store.put(WEB, Node("a", "west"), Node("b", "east"))

    async def watch(
        self, node: str = "", path: str = PATH, *, prefers_near: bool = False
    ) -> UpdateStream:
        token = f'{{"nodeName": "{node}"}}' if node else ""
        question = self.destination.endpoints_question(path, token, prefers_near=prefers_near)
        return await self.destination.endpoints.subscribe(question)

    async def get(self, node: str = "", path: str = PATH) -> list[str]:
        """Addresses with the locality of each."""
        return sorted(await self.news(await self.watch(node, path)))

    async def news(self, stream: UpdateStream) -> list[str]:
        await self.destination.endpoints.settled()
        updates = [messages.Update.FromString(raw) for raw in stream._queue]
        stream._queue.clear()
        return [line for update in updates for line in lines(update)]

    async def profile(self, path: str) -> messages.DestinationProfile:
        question = self.destination.profile_question(path, '{"ns": "client"}')
        (encoded,) = await self.destination.profiles.snapshot(question)
        return messages.DestinationProfile.FromString(encoded)


def lines(update: messages.Update) -> Iterable[str]:
    for one in update.add.addrs:
        yield f"{number(one.addr)} {one.metric_labels['zone_locality']}"
    for gone in update.remove.addrs:
        yield f"-{number(gone)}"


def number(address: Any) -> str:
    return (
        f"v6:{address.ip.ipv6.last}" if address.ip.HasField("ipv6") else str(address.ip.ipv4 & 255)
    )


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    west, east = pod(1), pod(2, node="b")
    rig.store.put(west, east, served(end(west, zone="west"), end(east, zone="east")))
    return rig


async def test_locality_is_that_of_the_clients_zone(rig: Rig) -> None:
    assert await rig.get("a") == ["1 local", "2 remote"]
    assert await rig.get("b") == ["1 remote", "2 local"]
    assert await rig.get() == await rig.get("nowhere") == ["1 unknown", "2 unknown"]


def near(stream: UpdateStream) -> list[str]:
    """Those of the news that are."""
    updates = [messages.Update.FromString(raw) for raw in stream._queue]
    stream._queue.clear()
    return sorted(number(one.addr) for update in updates for one in update.add.addrs if one.near)


async def test_what_is_in_the_clients_zone_is_near_where_the_service_prefers_it(rig: Rig) -> None:
    rig.store.put(replace(WEB, annotations={PREFER_ZONE: "true"}))
    west, east = await rig.watch("a", prefers_near=True), await rig.watch("b", prefers_near=True)
    others = [await rig.watch("a"), await rig.watch("", prefers_near=True)]
    await rig.destination.endpoints.settled()
    assert (near(west), near(east)) == (["1"], ["2"])
    assert [near(one) for one in others] == [[], []]


async def test_a_service_that_changes_its_mind_tells_those_who_watch(rig: Rig) -> None:
    stream = await rig.watch("a", prefers_near=True)
    await rig.destination.endpoints.settled()
    assert near(stream) == []
    rig.store.put(replace(WEB, annotations={PREFER_ZONE: "true"}))
    await rig.destination.endpoints.settled()
    assert near(stream) == ["1"]
    rig.store.put(replace(WEB, annotations={PREFER_ZONE: "no"}))
    assert await rig.news(stream) == ["1 local"]


async def test_weights_are_those_of_the_pods(rig: Rig) -> None:
    stream = await rig.watch()
    await rig.news(stream)
    rig.store.put(replace(pod(2, node="b"), weight=25_000))
    await rig.destination.endpoints.settled()
    (update,) = [messages.Update.FromString(raw) for raw in stream._queue]
    assert {number(one.addr): one.weight for one in update.add.addrs} == {"2": 25_000}


async def test_a_node_that_becomes_known_moves_its_clients(rig: Rig) -> None:
    stream = await rig.watch("c")
    assert sorted(await rig.news(stream)) == ["1 unknown", "2 unknown"]
    rig.store.put(Node("c", "east"))
    assert sorted(await rig.news(stream)) == ["1 remote", "2 local"]


async def test_hints_hold_when_every_endpoint_has_one(rig: Rig) -> None:
    west, east = pod(1), pod(2, node="b")
    hinted = end(west, for_zones=("west",)), end(east, for_zones=("east",))
    rig.store.put(served(*hinted))
    assert await rig.get("a") == ["1 unknown"]
    assert await rig.get("b") == ["2 unknown"]
    assert len(await rig.get()) == 2
    # A zone that nobody is meant for has all, and so has everybody where one says nothing.
    rig.store.put(Node("d", "north"))
    assert len(await rig.get("d")) == 2
    rig.store.put(served(hinted[0], end(east)))
    assert len(await rig.get("a")) == 2


async def test_a_local_service_has_the_pods_of_the_clients_node(rig: Rig) -> None:
    rig.store.put(replace(WEB, local=True))
    assert await rig.get("a") == ["1 local"]
    assert await rig.get("b") == ["2 local"]
    assert await rig.get() == []


async def test_who_asked_by_zone_asks_anew_when_a_service_becomes_local(rig: Rig) -> None:
    failures: list[str] = []
    stop = count_failures(lambda kind, _: failures.append(kind))
    stream = await rig.watch("a")
    rig.store.put(replace(WEB, local=True))
    await rig.destination.endpoints.settled()
    assert stream._closed
    assert await rig.get("a") == ["1 local"]
    stop()
    assert failures == []


@pytest.mark.parametrize(
    ("ipv6", "expected"),
    [(False, ["1 unknown", "v6:3 unknown"]), (True, ["v6:1 unknown", "v6:3 unknown"])],
)
async def test_a_pod_of_both_families_is_one_endpoint(ipv6: bool, expected: list[str]) -> None:
    rig = Rig(Settings(enable_ipv6=ipv6))
    both, six = pod(1, ips=("10.1.0.1", "fd00::1")), pod(3, ips=("fd00::3",))
    rig.store.put(both, six, served(end(both), end(both, "fd00::1"), end(six)))
    assert await rig.get() == expected


@pytest.mark.parametrize("mode", ["transparent", "transport-header"])
async def test_the_inbound_port_is_named_where_it_is_meant(mode: Any) -> None:
    rig = Rig(Settings(outbound_transport_mode=mode))
    rig.store.put(pod(1))
    by_header = mode == "transport-header"
    for port, expected in ((8080, by_header), (4191, False)):
        hint = (await rig.profile(f"10.1.0.1:{port}")).endpoint.protocol_hint
        assert hint.HasField("opaque_transport") is expected
        assert hint.HasField("h2")
    rig.store.put(replace(pod(1), opaque_ports=frozenset({8080})))
    hint = (await rig.profile("10.1.0.1:8080")).endpoint.protocol_hint
    assert (hint.HasField("opaque"), hint.opaque_transport.inbound_port) == (True, 4143)


async def test_a_pod_is_found_at_a_port_of_its_node(rig: Rig) -> None:
    rig.store.put(pod(1), replace(pod(2), ports=()))
    found = await rig.profile("192.0.2.1:7777")
    assert found.endpoint.metric_labels["pod"] == "web-1"
    assert found.endpoint.addr.port == 7777
    assert not (await rig.profile("192.0.2.1:8080")).endpoint.metric_labels
    # What runs in the node's network has its address, and is found only where it listens.
    rig.store.put(replace(pod(3), ips=("192.0.2.9",), host_ips=("192.0.2.9",), host_network=True))
    assert (await rig.profile("192.0.2.9:7777")).endpoint.metric_labels["pod"] == "web-3"
    assert not (await rig.profile("192.0.2.9:8080")).endpoint.metric_labels


async def test_an_address_is_the_next_pods_while_the_last_ends(rig: Rig) -> None:
    ending = replace(pod(1), status="Terminating")
    rig.store.put(ending)
    assert (await rig.profile("10.1.0.1:8080")).endpoint.metric_labels["pod"] == "web-1"
    rig.store.put(replace(pod(9), ips=("10.1.0.1",)))
    assert (await rig.profile("10.1.0.1:8080")).endpoint.metric_labels["pod"] == "web-9"


SELECTS = Selector({"app": "web"})


@pytest.mark.parametrize(
    ("server", "opaque"),
    [
        (Server("shop", "s", 8080, pods=SELECTS, proxy_protocol="opaque"), True),
        (Server("shop", "s", "http", pods=SELECTS, proxy_protocol="opaque"), True),
        (Server("shop", "s", 8080, pods=SELECTS, proxy_protocol="HTTP/1"), False),
        (Server("shop", "s", 9090, pods=SELECTS, proxy_protocol="opaque"), False),
        (Server("shop", "s", "grpc", pods=SELECTS, proxy_protocol="opaque"), False),
        (Server("shop", "s", 8080, pods=Selector({"app": "db"}), proxy_protocol="opaque"), False),
        (Server("shop", "s", 8080, external_workloads=SELECTS, proxy_protocol="opaque"), False),
        (Server("other", "s", 8080, pods=SELECTS, proxy_protocol="opaque"), False),
    ],
)
async def test_a_server_says_that_a_port_is_opaque(rig: Rig, server: Server, opaque: bool) -> None:
    stream = await rig.watch()
    await rig.news(stream)
    rig.store.put(server)
    assert (await rig.profile("10.1.0.1:8080")).opaque_protocol is opaque
    # Who has a stream is told at once.
    assert len(await rig.news(stream)) == (2 if opaque else 0)
    rig.store.remove(Server, key=server.key)
    assert len(await rig.news(stream)) == (2 if opaque else 0)


VM = ExternalWorkload(
    "shop",
    "vm",
    ips=("198.51.100.4",),
    ports=(ContainerPort(8080, "http"), ContainerPort(4999, "linkerd-proxy")),
    identity="spiffe://mesh/vm",
    server_name="vm.mesh",
    inbound_port=4999,
    labels={"app": "web"},
    owner=Owner("externalgroup", "vms"),
)


async def test_a_workload_outside_has_a_uri_for_its_name() -> None:
    rig = Rig(Settings(outbound_transport_mode="transport-header"))
    stream = await rig.watch()
    rig.store.put(served(Endpoint("198.51.100.4", 8080, external=VM.key)))
    assert await rig.news(stream) == []
    rig.store.put(VM)
    assert await rig.news(stream) == ["4 unknown"]
    found = await rig.profile("198.51.100.4:8080")
    assert found.endpoint.tls_identity.uri_like_identity.uri == "spiffe://mesh/vm"
    assert found.endpoint.tls_identity.server_name.name == "vm.mesh"
    assert found.endpoint.protocol_hint.opaque_transport.inbound_port == 4999
    assert dict(found.endpoint.metric_labels) == {
        "external_workload": "vm",
        "externalgroup": "vms",
        "namespace": "shop",
        "zone": "",
    }
    by_name = Server("shop", "s", "http", external_workloads=SELECTS, proxy_protocol="opaque")
    rig.store.put(by_name)
    assert (await rig.profile("198.51.100.4:8080")).opaque_protocol
    assert not (await rig.profile("198.51.100.4:9999")).endpoint.metric_labels


async def test_a_gateway_is_told_which_service_is_meant(rig: Rig) -> None:
    gateway = Gateway("gw.mesh", "web.shop.svc.west")
    found = Endpoint("203.0.113.7", 4143, gateway=gateway)
    rig.store.put(replace(served(found), labels={"target_cluster": "west"}))
    stream = await rig.watch()
    (raw,) = stream._queue
    update = messages.Update.FromString(raw)
    (address,) = update.add.addrs
    assert address.authority_override.authority_override == "web.shop.svc.west:80"
    assert address.tls_identity.dns_like_identity.name == "gw.mesh"
    assert not address.tls_identity.HasField("server_name")
    assert update.add.metric_labels["target_cluster"] == "west"


@pytest.mark.parametrize(
    ("service", "reason", "words"),
    [
        (
            replace(WEB, mirrored=Mirrored("west", "web")),
            "not found",
            "Remote cluster not found: west",
        ),
        (
            replace(WEB, mirrored=Mirrored("west", "")),
            "failed precondition",
            f"Remote discovery service missing remote service name {PATH}",
        ),
        (replace(WEB, alias=True), "invalid", f"Invalid authority: {PATH}"),
    ],
)
async def test_services_that_are_elsewhere_are_refused(
    rig: Rig, service: Service, reason: str, words: str
) -> None:
    stream = await rig.watch()
    rig.store.put(service)
    with pytest.raises(RefusedError) as refused:
        await rig.watch()
    assert (refused.value.reason, str(refused.value)) == (reason, words)
    # Who had an answer is left with nobody to go to.
    assert sorted(await rig.news(stream))[:2] == ["-1", "-2"]


async def test_a_federated_service_has_the_endpoints_of_its_member_here(rig: Rig) -> None:
    joined = Service("shop", "all", WEB.ports, federated=Federated("web"))
    rig.store.put(joined)
    path = "all.shop.svc.cluster.local:80"
    assert await rig.get(path=path) == ["1 unknown", "2 unknown"]
    stream = await rig.watch(path=path)
    await rig.news(stream)
    rig.store.put(replace(joined, federated=Federated("")))
    assert sorted(await rig.news(stream)) == ["-1", "-2"]
    rig.store.put(joined)
    assert sorted(await rig.news(stream)) == ["1 unknown", "2 unknown"]


def routed(namespace: str, route: str) -> ServiceProfile:
    named = Route(route, RequestMatch(path="/"))
    return ServiceProfile(namespace, "web.shop.svc.cluster.local", (named,))


async def test_a_clients_profile_wins_and_falls_back_live(rig: Rig) -> None:
    question = rig.destination.profile_question(PATH, '{"ns": "client"}')
    stream = await rig.destination.profiles.subscribe(question)

    async def routes() -> list[list[str]]:
        await rig.destination.profiles.settled()
        told = [messages.DestinationProfile.FromString(raw) for raw in stream._queue]
        stream._queue.clear()
        return [[route.metrics_labels["route"] for route in one.routes] for one in told]

    assert await routes() == [[]]
    rig.store.put(routed("shop", "owners"))
    assert await routes() == [["owners"]]
    rig.store.put(routed("client", "clients"), routed("elsewhere", "others"))
    assert await routes() == [["clients"]]
    # One that says nothing that can be understood leaves what was said.
    broken = replace(routed("client", ""), routes=(), problem="no condition")
    rig.store.put(broken)
    assert await routes() == []
    assert await rig.destination.profiles.snapshot(question) == ()
    rig.store.remove(ServiceProfile, key=Key("client", broken.name))
    assert await routes() == [["owners"]]
